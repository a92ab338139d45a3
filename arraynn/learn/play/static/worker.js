// Python in a web worker: Pyodide from the folder beside this file, arraynn in it, and the calls of the page's session.
import { loadPyodide } from "./pyodide/pyodide.mjs";

async function load(python, name) {  // Pyodide only tells of what cannot be loaded
  let wrong = "";
  await python.loadPackage(name, { messageCallback() {}, errorCallback(text) { wrong = text; } });
  if (wrong) throw new Error(wrong);
}
async function start() {
  postMessage({ told: "loading Python …" });
  const python = await loadPyodide({ indexURL: new URL("./pyodide/", import.meta.url).href });
  postMessage({ told: "loading NumPy and arraynn …" });
  await load(python, "arraynn");
  postMessage({ told: "starting arraynn …" });
  return { python, desk: python.pyimport("arraynn.learn.play.worker").Desk() };
}
const started = start();
const why = error => String(error.message || error);
started.catch(error => postMessage({ failed: why(error) }));

let chain = Promise.resolve();
self.onmessage = ({ data }) => {  // one after the other
  chain = chain.then(() => answer(data)).catch(error => postMessage({ n: data.n, answer: JSON.stringify({ error: why(error) }) }));
};
async function answer({ n, name, given }) {
  const { python, desk } = await started;
  if (name === "film") await load(python, "pillow");  // which draws it, and nothing else here
  const found = desk.call(name, given);
  if (typeof found === "string") return postMessage({ n, answer: found });
  const file = found.toJs();  // a copy of Python's bytes
  found.destroy();
  postMessage({ n, file }, [file.buffer]);
}
