// What is taken away: made by the server, then saved by the browser.
import { post } from "./server.js";
import { element, find } from "./words.js";

export const exporting = { say: () => {} };

const save = async (kind, button) => {
  button.disabled = true;
  exporting.say("Writing …");
  try {
    const { name } = await post("exports", { kind, format: find(kind === "cuts" ? "editor" : "format").value, quality: find("quality").value });
    const link = element("a", { href: `exports/${encodeURIComponent(name)}`, download: name, hidden: true });
    document.body.append(link);
    link.click();
    link.remove();
    exporting.say(`${name} is ready.`);
  } catch (error) {
    exporting.say(error.message);
  }
  button.disabled = false;
};

find("export").addEventListener("submit", (event) => {
  event.preventDefault();
  const button = event.submitter ?? find("export").querySelector("button");
  save(button.dataset.kind, button);
});
