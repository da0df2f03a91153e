// Times in words, and elements made without any HTML: what others wrote is never anything but text.

export const clock = (seconds) => {
  const whole = Math.floor(seconds + 1e-6), hours = Math.floor(whole / 3600);
  const rest = `${Math.floor((whole % 3600) / 60)}:${String(whole % 60).padStart(2, "0")}`;
  return hours ? `${hours}:${rest.padStart(5, "0")}` : rest;
};

export const tenths = (seconds) => {
  const rounded = Math.round(seconds * 10) / 10;
  return clock(rounded) + (rounded % 1 ? `.${Math.round((rounded % 1) * 10)}` : "");
};

// Seconds of "1:02:03", "2:03.5" or "90"; null where it is no time.
export const parse = (text) => {
  const match = text.trim().match(/^(?:(?:(\d+):)?(\d+):)?(\d+(?:[.,]\d*)?)$/);
  if (!match) return null;
  const seconds = Number(match[3].replace(",", "."));
  if (text.includes(":") && seconds >= 60) return null;
  return Number(match[1] || 0) * 3600 + Number(match[2] || 0) * 60 + seconds;
};

export const element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
};

export const shape = (tag, attributes = {}, ...children) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};

export const find = (id) => document.getElementById(id);

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export const letter = (index) => String.fromCharCode(65 + (index % 26));
