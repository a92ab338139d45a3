// Where the training happens: calls of the Python class Session, by the server that sent the page.
export class ServerEngine {
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
