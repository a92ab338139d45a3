// Runs Python in a web worker: loads Pyodide from the folder beside this file and arraynn into it, and answers the page's calls.
import { loadPyodide } from "./pyodide/pyodide.mjs";

async function load(python, name) {  // Pyodide reports a failed load only by this callback
  let wrong = "";
  await python.loadPackage(name, { messageCallback() {}, errorCallback(text) { wrong = text; } });
  if (wrong) throw new Error(wrong);
}
async function start() {
  postMessage({ progress: "loading Python …" });
  const python = await loadPyodide({ indexURL: new URL("./pyodide/", import.meta.url).href });
  postMessage({ progress: "loading NumPy and arraynn …" });
  await load(python, "arraynn");
  postMessage({ progress: "starting arraynn …" });
  return { python, session: python.pyimport("arraynn.learn.play.worker").TabSession() };
}
const started = start();
const why = error => String(error.message || error);
started.catch(error => postMessage({ failed: why(error) }));

let chain = Promise.resolve();
self.onmessage = ({ data }) => {  // calls run one after the other
  chain = chain.then(() => answer(data)).catch(error => postMessage({ n: data.n, answer: JSON.stringify({ error: why(error) }) }));
};
async function answer({ n, name, given }) {
  const { python, session } = await started;
  if (name === "film") await load(python, "pillow");  // only the film needs Pillow
  const found = session.call(name, given);
  if (typeof found === "string") return postMessage({ n, answer: found });
  const file = found.toJs();  // a copy of Python's bytes
  found.destroy();
  postMessage({ n, file }, [file.buffer]);
}
