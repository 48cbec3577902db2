// The real server that tests speak to: CHROMA_URL says where it is (it must allow reset and SQL), and CHROMA_LOCKED_URL
// names one that wants the token "secret". Without them those tests are skipped.

export const URL_ = process.env.CHROMA_URL;
export const LOCKED_URL = process.env.CHROMA_LOCKED_URL;
export const real = { skip: URL_ && LOCKED_URL ? false : "needs CHROMA_URL and CHROMA_LOCKED_URL" };

let made = 0;

/** A name that no other test uses. */
export function freshName() {
  made += 1;
  return `js-${process.pid}-${made}`;
}

/** An embedding function of two dimensions. */
export const embedder = { generate: async (texts) => texts.map((text) => [text.length, 1]) };
