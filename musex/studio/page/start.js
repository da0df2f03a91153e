// A song is dropped, or chosen; then its page is opened.
import { send } from "./server.js";

const [input, status, progress] = ["file", "status", "progress"].map((id) => document.getElementById(id));
const base = input.dataset.base;

const open = async (file) => {
  status.textContent = `Reading ${file.name} …`;
  progress.hidden = false;
  try {
    const song = await send(file, base, (share) => { progress.value = share; });
    location.assign(`${base}songs/${song}/`);
  } catch (error) {
    status.textContent = error.message;
    progress.hidden = true;
    input.value = "";
  }
};

input.addEventListener("change", () => { if (input.files.length) open(input.files[0]); });
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    document.body.classList.toggle("dropping", name === "dragover");
    if (name === "drop" && event.dataTransfer.files.length) open(event.dataTransfer.files[0]);
  });
}
