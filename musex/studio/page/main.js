// The page of one song. The server decides everything; here it is shown, heard and asked for.
import { exporting } from "./exporting.js";
import { mood } from "./mood.js";
import { output } from "./output.js";
import { player } from "./player.js";
import { seams } from "./seams.js";
import { listen, post, read, send } from "./server.js";
import { form } from "./shape.js";
import { picture } from "./song.js";
import { versions } from "./versions.js";
import { find, tenths } from "./words.js";

let state = { revision: -1 }, song, asked = 0;
const status = find("status"), progress = find("progress");

const say = (words) => { status.textContent = words; };
[form, exporting, seams, versions].forEach((each) => { each.say = say; });

const show = (news) => {
  if (news.revision < state.revision) return; // two answers may overtake each other
  if (state.plan && state.plan.version === news.plan?.version) news.plan = state.plan; // it is the same, and is not drawn again
  state = news;
  find("undo").disabled = !state.undo;
  find("redo").disabled = !state.redo;
  if (state.draft) player.change(`sounds/${state.draft.sound}.wav`, state.draft.seconds);
  else if (state.sound) player.change(`sounds/${state.sound}.wav`, state.plan.seconds);
  output.show(state); // once there is a sound, which the waveform takes as its own
  versions.show(state);
  if (!state.plan) { if (state.failure) say(state.failure); return; }
  find("told").textContent = `${tenths(song.seconds)} of music made ${state.plan.told}`;
  seams.show(state.plan);
  mood.show(state.plan);
  form.show(state.plan);
  picture.show(song, state.plan);
};

const refresh = async () => {
  if (!song) return; // the page is still being opened, and looks once it knows the song
  try {
    const news = await read("state");
    if (news.song_known && !song.known) song = await tellSong();
    show(news);
  } catch (error) {
    say(error.message);
  }
};
const tellSong = async () => {
  const told = await read("song");
  if (told.told) find("song-told").textContent = `${told.told}. Each arc is a jump: blue back, dashed orange forward. Letters are sections, thin lines bars.`;
  return told;
};

// Ask for a change; the new state, or nothing where it is refused, which is said.
const act = async (what) => {
  const number = ++asked;
  document.body.classList.add("busy");
  try {
    const news = await post("edits", { ...what, plan: state.plan?.key });
    if (news.failure) say(news.failure);
    if (number === asked) show(news);
    return news;
  } catch (error) {
    say(error.message);
    await refresh();
    if (state.plan) [output, form].forEach((each) => each.reset());
    return null;
  } finally {
    if (number === asked) document.body.classList.remove("busy");
  }
};
[form, seams, versions].forEach((each) => { each.act = act; });

output.onLength = async (seconds) => {
  say(`${tenths(seconds)}: planning …`);
  const news = await act({ action: "length", seconds });
  if (news) { player.start(); say(`It is ${tenths(seconds)} long now.`); }
};
output.onSeam = (number) => seams.choose(number, true);
picture.onSeam = (number) => seams.choose(number, true);
seams.onChoose = (number) => { output.choose(number); picture.choose(number); };
mood.onArc = (arc) => act({ action: "change", settings: { arc } });
const travel = async (action, words) => { if (await act({ action })) say(words); };
const undo = () => travel("undo", "Undone.");
const redo = () => travel("redo", "Redone.");
find("undo").addEventListener("click", undo);
find("redo").addEventListener("click", redo);

// Keys of the whole page, where nothing is being written.
const letters = find("letters");
letters.checked = localStorage.getItem("letters") !== "no";
letters.addEventListener("change", () => localStorage.setItem("letters", letters.checked ? "yes" : "no"));
document.addEventListener("keydown", (event) => {
  const writes = event.target.matches("input:not([type=checkbox], [type=radio], [type=range], [type=file]), textarea, select");
  if (writes) return;
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") {
    event.preventDefault();
    (event.shiftKey ? redo : undo)(); // whether or not the page shows yet that there is something
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const onControl = event.target.closest("button, summary, a, label, [type=checkbox], [type=radio]");
  const moves = event.target.matches("[type=radio], [type=range], .wide, .picture, pre");
  const single = {
    n: () => seams.step(1), p: () => seams.step(-1), r: seams.reject, l: seams.lock, x: seams.none, a: seams.find,
    "[": () => seams.move("beat", -1), "]": () => seams.move("beat", 1),
  };
  const actions = {
    " ": onControl ? null : player.toggle,
    ArrowLeft: moves ? null : () => player.seek(player.now - 5), ArrowRight: moves ? null : () => player.seek(player.now + 5),
    ...(letters.checked ? single : {}),
  };
  const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

// Another song can be dropped anywhere.
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, async (event) => {
    event.preventDefault();
    document.body.classList.toggle("dropping", name === "dragover");
    const file = name === "drop" && event.dataTransfer.files[0];
    if (!file) return;
    say(`Reading ${file.name} …`);
    try {
      location.assign(`../${await send(file, "../../", () => {})}/`);
    } catch (error) {
      say(error.message);
    }
  });
}
player.audio.addEventListener("error", () => { if (state.plan) setTimeout(refresh, 300); }); // a sound that is no longer kept

const stopped = find("stopped");
listen(
  (news) => {
    progress.hidden = !news.stage;
    progress.value = news.done;
    progress.setAttribute("aria-label", news.stage || "Progress");
    if (news.stage && (news.stage !== "Planning" || !status.textContent)) say(`${news.stage} …`);
    else if (!news.stage && status.textContent.endsWith(" …")) say("");
    if (news.revision > state.revision) refresh();
  },
  (gone, closed = false) => {
    stopped.hidden = !gone;
    const cure = closed ? "This song was closed, as many others were opened. Open it again" : "The studio has stopped. Start it again with musex studio and open the song";
    stopped.textContent = gone ? `${cure}: nothing that you decided is lost.` : "";
  },
);
song = await tellSong();
picture.show(song, undefined);
await refresh();
