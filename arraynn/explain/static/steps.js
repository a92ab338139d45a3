// Steps through the stages of a training step, forward and backward; without this script all of them are shown.
export function wire(root) {
  const list = root.querySelector(".steps");
  if (!list || list.dataset.wired) return null;
  list.dataset.wired = "yes";
  const stages = [...list.children];
  const bar = document.createElement("div");
  bar.className = "walk";
  const button = text => {
    const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
    bar.append(made);
    return made;
  };
  const back = button("back"), next = button("next"), all = button("");
  const place = Object.assign(document.createElement("span"), { className: "place" });
  place.setAttribute("aria-live", "polite");
  bar.append(place);
  list.before(bar);
  let at = 0, single = true;
  const show = (n, focus) => {
    at = Math.min(Math.max(n, 0), stages.length - 1);
    stages.forEach((stage, i) => { stage.hidden = single && i !== at; stage.classList.toggle("now", i === at); });
    back.disabled = at === 0;
    next.disabled = at === stages.length - 1;
    all.textContent = single ? "show all steps" : "one step at a time";
    place.textContent = `step ${at + 1} of ${stages.length}: ${stages[at].querySelector("h2").textContent}`;
    if (focus && !single) stages[at].scrollIntoView({ block: "nearest" });
  };
  back.onclick = () => show(at - 1, true);
  next.onclick = () => show(at + 1, true);
  all.onclick = () => { single = !single; show(at, true); };
  list.addEventListener("click", event => {
    const link = event.target.closest("a[href^='#stage-']");
    if (!link) return;
    event.preventDefault();
    show(+link.getAttribute("href").slice(7) - 1, true);
  });
  list.addEventListener("keydown", event => {
    if (event.target.closest(".scroll") || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") show(at + (event.key === "ArrowRight" ? 1 : -1), true);
  });
  show(0);
  return { show, find: text => stages.findIndex(stage => stage.querySelector("h2").textContent.includes(text)) };
}
