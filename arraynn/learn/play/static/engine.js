// Where the training happens: calls of the Python class Session. The transport has two forms of one interface:
// call(name, given) promises what the call answers; remote says whether a server does it; told hears of progress.
export function engine(told) {
  return document.querySelector("meta[name=engine][content=worker]") ? new WorkerEngine(told) : new ServerEngine();
}

// By the server that sent the page.
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
    catch { throw new Error("The server does not answer. Has it ended? arraynn play starts it."); }
    if (!answer.ok) throw new Error((await answer.json()).error);
    return answer.headers.get("Content-Type") === "application/json" ? answer.json() : new Uint8Array(await answer.arrayBuffer());
  }
}

// By Python in a web worker of the page, for a site without a server.
class WorkerEngine {
  remote = false;
  constructor(told) {
    this.waiting = new Map(); this.count = 0;
    this.worker = new Worker("worker.js", { type: "module" });
    this.worker.onmessage = ({ data: { n, answer, file, told: text, failed } }) => {
      if (text) return told(text);
      if (failed) return this.end(failed);
      const waits = this.waiting.get(n), found = file ? { result: file } : JSON.parse(answer);
      if (!this.waiting.delete(n)) return;  // given up
      if (found.error === undefined) waits.done(found.result); else waits.refuse(new Error(found.error));
    };
    this.worker.onerror = event => this.end(event.message || "its files are missing");
  }
  call(name, given = {}) {
    return new Promise((done, refuse) => {
      if (this.ended) return refuse(new Error(this.ended));
      this.waiting.set(++this.count, { done, refuse });
      this.worker.postMessage({ n: this.count, name, given: JSON.stringify(given) });
    });
  }
  end(why) {  // nothing more will be answered
    this.ended = `Python does not run in this browser: ${why}`;
    for (const { refuse } of this.waiting.values()) refuse(new Error(this.ended));
    this.waiting.clear();
  }
}
