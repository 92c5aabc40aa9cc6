// What script adds: the button for light and dark, and a page that stays true while it is open.
// Without script every number and picture is there as it was when the page was asked for.

const root = document.documentElement;
const button = document.getElementById("theme");
button.hidden = false;
button.addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
});

// The server says that something changed; the page asks for itself again and takes over what is different.
const main = document.getElementById("main");
const live = document.getElementById("live");
live.hidden = false;

function busy() {
  return main.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");
}

async function refresh() {
  if (busy() || document.hidden) return false;
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!answer.ok) return false;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
  const open = [...main.querySelectorAll("details")].map((d) => d.open);
  fresh.querySelectorAll("details").forEach((d, i) => { if (i < open.length) d.open = open[i]; });
  const focused = main.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  main.replaceChildren(...fresh.childNodes);
  if (focused) main.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  return true;
}

let pending = false;
const source = new EventSource("/events");
source.addEventListener("open", () => live.classList.add("on"));
source.addEventListener("error", () => live.classList.remove("on"));
source.addEventListener("changed", async () => { pending = !(await refresh()); });
document.addEventListener("visibilitychange", async () => { if (pending && !document.hidden) pending = !(await refresh()); });
