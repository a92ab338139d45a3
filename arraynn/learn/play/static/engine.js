// Where the training happens. Both answer the same calls of the same Python class, Session.
export class ServerEngine {
  constructor() {
    const given = new URLSearchParams(location.hash.slice(1));
    if (given.has("token")) {
      sessionStorage.setItem("token", given.get("token"));
      given.delete("token");
      history.replaceState(null, "", "#" + given);
    }
    this.id = crypto.randomUUID();
    this.name = "Python";
  }
  async start() {}
  async call(name, given = {}) {
    const headers = { "Content-Type": "application/json", "X-Token": sessionStorage.getItem("token") || "", "X-Session": this.id };
    let answer;
    try { answer = await fetch("call/" + name, { method: "POST", body: JSON.stringify(given), headers }); }
    catch { throw new Error("The server does not answer. Has it ended? arraynn play starts it."); }
    if (!answer.ok) throw new Error((await answer.json()).error);
    return answer.headers.get("Content-Type") === "application/json" ? answer.json() : new Uint8Array(await answer.arrayBuffer());
  }
}
export class WorkerEngine {
  constructor() { this.waiting = new Map(); this.count = 0; this.name = "Pyodide"; }
  start() {
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    return new Promise((ready, failed) => {
      this.worker.onmessage = ({ data }) => {
        if (data.ready) return ready();
        if (data.fatal) return failed(new Error(data.fatal));
        const [done, refused] = this.waiting.get(data.n);
        this.waiting.delete(data.n);
        if (data.error) refused(new Error(data.error)); else done(typeof data.result === "string" ? JSON.parse(data.result) : data.result);
      };
      this.worker.onerror = event => failed(new Error(event.message));
    });
  }
  call(name, given = {}) {
    return new Promise((done, refused) => {
      this.waiting.set(++this.count, [done, refused]);
      this.worker.postMessage({ n: this.count, name, args: JSON.stringify(given) });
    });
  }
}
