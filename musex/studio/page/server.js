// What the page asks of the server. Addresses are relative: the key stands in the page's own.

const answer = async (response) => {
  const content = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(content.error || `the studio answered ${response.status}: reload the page`);
  return content;
};

const stopped = "the studio has stopped";
const ask = (address, options) => fetch(address, options).catch(() => { throw new Error(stopped); }).then(answer);

export const read = (address) => ask(address);

export const post = (address, content) =>
  ask(address, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(content) });

// Send a song's file; told how much of it has arrived.
export const send = (file, base, onProgress) => new Promise((resolve, reject) => {
  const request = new XMLHttpRequest();
  request.open("POST", `${base}songs`);
  request.setRequestHeader("x-name", encodeURIComponent(file.name));
  request.setRequestHeader("content-type", "application/octet-stream");
  request.upload.addEventListener("progress", (event) => onProgress(event.loaded / (event.total || 1)));
  request.addEventListener("error", () => reject(new Error(stopped)));
  request.addEventListener("load", () => {
    let content = {};
    try { content = JSON.parse(request.responseText); } catch { /* said below */ }
    if (request.status === 201) resolve(content.song);
    else reject(new Error(content.error || `the studio answered ${request.status}`));
  });
  request.send(file);
});

// Listen to what changes, in this tab or another; told when the server does not answer any more, or has closed the song.
export const listen = (onChange, onStop) => {
  const source = new EventSource("events");
  let silent = 0;
  source.addEventListener("message", (event) => { clearTimeout(silent); silent = 0; onStop(false); onChange(JSON.parse(event.data)); });
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) onStop(true, true); // it answers, but knows nothing of this song
    else silent ||= setTimeout(() => onStop(true), 700);
  });
};
