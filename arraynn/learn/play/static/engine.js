// The transport to the Python class Session. Two classes share one interface: call(name, given) returns a promise of
// the call's result; remote says whether a server runs the session; onProgress receives messages about loading.
export function engine(onProgress) {
  return document.querySelector("meta[name=engine][content=worker]") ? new WorkerEngine(onProgress) : new ServerEngine();
}

// Calls the server that sent the page.
class ServerEngine {
  remote = true;
  constructor() {
    const given = new URLSearchParams(location.hash.slice(1));
    if (given.has("token")) {
      sessionStorage.setItem("token", given.get("token"));
      given.delete("token");
      history.replaceState(null, "", "#" + given);
    }
    this.id = crypto.randomUUID();
  }
  async call(name, given = {}) {
    const headers = { "Content-Type": "application/json", "X-Token": sessionStorage.getItem("token") || "", "X-Session": this.id };
    let answer;
    try { answer = await fetch("call/" + name, { method: "POST", body: JSON.stringify(given), headers }); }
    catch { throw new Error("The server does not respond. If it has stopped, start it with arraynn play."); }
    if (!answer.ok) throw new Error((await answer.json()).error);
    return answer.headers.get("Content-Type") === "application/json" ? answer.json() : new Uint8Array(await answer.arrayBuffer());
  }
}

// Calls Python in a web worker of the page, for a site without a server.
class WorkerEngine {
  remote = false;
  constructor(onProgress) {
    this.pending = new Map(); this.count = 0;
    this.worker = new Worker("worker.js", { type: "module" });
    this.worker.onmessage = ({ data: { n, answer, file, progress: text, failed } }) => {
      if (text) return onProgress(text);
      if (failed) return this.end(failed);
      const call = this.pending.get(n), found = file ? { result: file } : JSON.parse(answer);
      if (!this.pending.delete(n)) return;  // the call was abandoned
      if (found.error === undefined) call.done(found.result); else call.refuse(new Error(found.error));
    };
    this.worker.onerror = event => this.end(event.message || "its files are missing");
  }
  call(name, given = {}) {
    return new Promise((done, refuse) => {
      if (this.ended) return refuse(new Error(this.ended));
      this.pending.set(++this.count, { done, refuse });
      this.worker.postMessage({ n: this.count, name, given: JSON.stringify(given) });
    });
  }
  end(why) {  // fail this and all later calls
    this.ended = `Python does not run in this browser: ${why}`;
    for (const { refuse } of this.pending.values()) refuse(new Error(this.ended));
    this.pending.clear();
  }
}
