// Judgements that are being made: what is pooled, in which order it is shown, and the files that `wellspring eval` reads.

export const HIGHEST = 3;

// FNV-1a: an order that has nothing to do with ranks, and is the same for the same question each time.
function scatter(text) {
  let hash = 0x811c9dc5;
  for (const unit of text) hash = Math.imul(hash ^ unit.codePointAt(0), 0x01000193) >>> 0;
  return hash;
}

/** Every document that one of the rankings holds, once, with its best passage, in an order that tells nothing of ranks. */
export function pool(question, rankings) {
  const found = new Map();
  for (const hits of rankings) for (const hit of hits) if (!found.has(hit.document_id)) found.set(hit.document_id, hit);
  return [...found.values()].sort((a, b) => scatter(question + a.document_id) - scatter(question + b.document_id) || (a.document_id < b.document_id ? -1 : 1));
}

/** Lines of questions: each line one, or JSONL with `text` or `question`, or `id`, a tab and the text. Repeats once. */
export function questions(text) {
  const read = (line) => {
    if (line.startsWith("{")) {
      const { text: words, question } = JSON.parse(line);
      return words ?? question ?? "";
    }
    return line.includes("\t") ? line.slice(line.indexOf("\t") + 1) : line;
  };
  return [...new Set(text.split(/\r?\n/).map((line) => line.trim()).filter(Boolean).map((line) => read(line).trim()).filter(Boolean))];
}

const columns = (id) => !/[\t\r\n]/.test(id) && id.trim() === id;

/** Judgements `{ question: { document: grade } }` in BEIR's columns; ids that the columns can't hold are left out. */
export function qrels(judged) {
  const rows = Object.entries(judged).flatMap(([, grades], index) => Object.entries(grades).filter(([id]) => columns(id)).sort().map(([id, grade]) => `q${index + 1}\t${id}\t${grade}\n`));
  return `query-id\tcorpus-id\tscore\n${rows.join("")}`;
}

/** The questions that belong to them, as BEIR's queries.jsonl. */
export const queries = (judged) => Object.keys(judged).map((text, index) => `${JSON.stringify({ _id: `q${index + 1}`, text })}\n`).join("");

/** Both in one: lines of question, document and grade, which `eval retrieval --dataset FILE -c COLLECTION` takes. */
export const lines = (judged) => Object.entries(judged).flatMap(([question, grades], index) => Object.entries(grades).filter(([, grade]) => grade > 0).map(([document, grade]) => `${JSON.stringify({ id: `q${index + 1}`, question, document, grade })}\n`)).join("");
