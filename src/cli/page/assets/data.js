// Reads the columns of a run.

const bytesOf = ({ raw, data }) => {
  const text = atob(data), packed = new Uint8Array(text.length);
  for (let i = 0; i < packed.length; i++) packed[i] = text.charCodeAt(i);
  const out = new Uint8Array(raw);
  let from = 0, to = 0;
  // An LZ4 block: literals, then a match further back, and so on. Most are short: a loop is faster than a call.
  while (from < packed.length) {
    const token = packed[from++];
    let long = token >> 4;
    if (long === 15) {
      let more;
      do { more = packed[from++]; long += more; } while (more === 255);
    }
    for (const until = from + long; from < until;) out[to++] = packed[from++];
    if (from >= packed.length) break;
    const back = packed[from] | (packed[from + 1] << 8);
    from += 2;
    long = token & 15;
    if (long === 15) {
      let more;
      do { more = packed[from++]; long += more; } while (more === 255);
    }
    for (const until = to + long + 4; to < until; to++) out[to] = out[to - back];
  }
  return out;
};

const strings = (packed) => (packed.raw ? JSON.parse(new TextDecoder().decode(bytesOf(packed))) : []);

// Numbers of a column: as many as there are, into an array of that kind.
const numbers = (packed, count, Kind, rising) => {
  const bytes = bytesOf(packed);
  const out = new Kind(count);
  let at = 0, last = 0;
  for (let i = 0; i < count; i++) {
    let byte = bytes[at++], value = byte & 0x7f;
    for (let scale = 128; byte & 0x80; scale *= 128) {
      byte = bytes[at++];
      value += (byte & 0x7f) * scale;
    }
    if (rising) value = last += value;
    out[i] = value;
  }
  return out;
};

const openRun = (run) => {
  const { events: packed, flights: packedFlights, state } = run.recorded;
  const count = packed.count;
  const column = (name, Kind, rising) => numbers(packed[name], count, Kind, rising);
  const events = {
    count, before: packed.before,
    id: column("id", Float64Array, true),
    at: column("at", Float64Array, true),
    node: column("node", Int32Array),
    kind: column("kind", Uint8Array),
    peer: column("peer", Int32Array),
    message: column("message", Int32Array),
    about: column("about", Int32Array),
    note: column("note", Int32Array),
    which: numbers(packed.text.which, count, Int32Array),
  };
  const back = column("cause", Float64Array);
  const first = packed.before < count ? events.id[packed.before] : 0;
  const place = (id) => {
    if (id >= first && id - first + packed.before < count) return packed.before + id - first;
    const found = search(events.id, id);
    return found < count && events.id[found] === id ? found : -1;
  };
  events.place = place;
  events.cause = new Int32Array(count);
  events.causeId = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    events.causeId[i] = back[i] ? events.id[i] - back[i] : 0;
    events.cause[i] = back[i] ? place(events.causeId[i]) : -1;
  }
  const templates = strings(packed.text.templates).map((template) => template.split("\u0001"));
  let total = 0;
  const start = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    start[i] = total;
    total += templates[events.which[i]].length - 1;
  }
  const inTexts = numbers(packed.text.numbers, total, Float64Array);
  const name = (node) => (node ? shown(run.nodes[node - 1]) : "world");
  // What happened, without when and where.
  events.words = (i) => {
    const parts = templates[events.which[i]];
    let text = parts[0];
    for (let p = 1; p < parts.length; p++) text += inTexts[start[i] + p - 1] + parts[p];
    return text;
  };
  // The line that `hublab trace` prints.
  events.line = (i) => {
    const cause = events.causeId[i] ? " <- e" + events.causeId[i] : "";
    return time(events.at[i]) + " " + name(events.node[i]) + " " + events.words(i) + " [e" + events.id[i] + cause + "]";
  };
  const kindOf = (word) => run.event_kinds.indexOf(word);
  const TIMER = kindOf("timer");
  events.isTimerOfItself = (i) => {
    const cause = events.cause[i];
    return cause >= 0 && events.kind[i] === TIMER && events.kind[cause] === TIMER &&
      events.node[i] === events.node[cause] && events.note[i] === events.note[cause];
  };
  // The chain of `hublab why`: the first cause first, the event itself last.
  events.chain = (i) => {
    const chain = [i];
    while (chain.length < 10000) {
      const last = chain[chain.length - 1];
      if (events.cause[last] < 0 || events.isTimerOfItself(last)) break;
      chain.push(events.cause[last]);
    }
    return chain.reverse();
  };
  let effectsOf = null;
  const links = () => {
    if (effectsOf) return effectsOf;
    const from = new Int32Array(count + 1);
    for (let i = 0; i < count; i++) if (events.cause[i] >= 0) from[events.cause[i] + 1]++;
    for (let i = 0; i < count; i++) from[i + 1] += from[i];
    const fill = from.slice();
    const list = new Int32Array(from[count]);
    for (let i = 0; i < count; i++) if (events.cause[i] >= 0) list[fill[events.cause[i]]++] = i;
    return (effectsOf = { from, list });
  };
  // All that came of an event, in order: at most so many.
  events.effects = (i, most) => {
    const { from, list } = links();
    const found = [];
    const waiting = [i];
    for (let w = 0; w < waiting.length && found.length < most; w++) {
      for (let at = from[waiting[w]]; at < from[waiting[w] + 1]; at++) {
        found.push(list[at]);
        waiting.push(list[at]);
      }
    }
    return found.sort((a, b) => a - b).slice(0, most);
  };
  const flightCount = packedFlights.count;
  const flight = (name, Kind, rising) => numbers(packedFlights[name], flightCount, Kind, rising);
  const flights = {
    count: flightCount,
    id: flight("id", Float64Array, true), from: flight("from", Int32Array), to: flight("to", Int32Array),
    kind: flight("kind", Int32Array), sent: flight("sent", Float64Array, true), end: flight("end", Int32Array),
    traits: flight("traits", Uint8Array), reasons: packedFlights.reasons,
  };
  const [took, behind] = [flight("took", Float64Array), flight("ended_by", Float64Array)];
  flights.ended = new Float64Array(flightCount);
  flights.endEvent = new Int32Array(flightCount);
  flights.event = new Int32Array(flightCount);
  flights.longest = 0;
  for (let i = 0; i < flightCount; i++) {
    flights.ended[i] = flights.sent[i] + took[i];
    flights.event[i] = place(flights.id[i]);
    flights.endEvent[i] = behind[i] ? place(flights.id[i] + behind[i]) : -1;
    if (took[i] > flights.longest) flights.longest = took[i];
  }
  const children = strings(run.recorded.children);
  const listed = bytesOf(run.recorded.lists);
  const lists = [];
  for (let at = 0, i = 0; i < run.recorded.list_count; i++) {
    const next = () => {
      let value = 0, scale = 1, byte;
      do { byte = listed[at++]; value += (byte & 0x7f) * scale; scale *= 128; } while (byte & 0x80);
      return value;
    };
    const list = new Int32Array(next());
    for (let c = 0; c < list.length; c++) list[c] = next();
    lists.push(list);
  }
  const changes = (() => {
    // How many there are is not told apart: a column ends where its bytes do.
    const count = bytesOf(state.at).reduce((n, byte) => n + (byte < 128 ? 1 : 0), 0);
    return {
      count, at: numbers(state.at, count, Float64Array, true), node: numbers(state.node, count, Int32Array),
      child: numbers(state.child, count, Int32Array), defects: numbers(state.defects, count, Uint8Array),
    };
  })();
  return { ...run, events, flights, children, lists, notes: strings(run.recorded.notes), base: state, changes, kindOf, name };
};
