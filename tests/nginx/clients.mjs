// clients.mjs fetch|EventSource METHOD URL ACCEPT-ENCODING: prints a stream as it comes.
const [kind, method, url, encoding] = process.argv.slice(2);

if (kind === "fetch") {
  const answer = await fetch(url, { method, headers: { "Accept-Encoding": encoding } });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  for await (const part of answer.body.pipeThrough(new TextDecoderStream())) process.stdout.write(part);
} else {
  const source = new EventSource(url);
  source.onmessage = (event) => process.stdout.write(`${event.data}\n`);
  source.onerror = () => process.exit(0); // the end of the stream: it would connect again
}
