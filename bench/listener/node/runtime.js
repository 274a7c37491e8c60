// What Lambda's own runtime does around a handler: asks for events, one after the other, and posts the answers.

const http = require("node:http");
const { handle } = require("./handler.js");

const agent = new http.Agent({ keepAlive: true });
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const headers = body ? { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) } : {};
    const request = http.request({ agent, host, port, method, path: `/2018-06-01/runtime/${path}`, headers }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part) => (text += part)).on("end", () => resolve({ headers: answer.headers, text }));
    });
    request.on("error", reject).end(body);
  });
}

async function run() {
  for (;;) {
    const event = await call("GET", "invocation/next");
    const id = event.headers["lambda-runtime-aws-request-id"];
    try {
      await call("POST", `invocation/${id}/response`, JSON.stringify(await handle(JSON.parse(event.text))));
    } catch (error) {
      await call("POST", `invocation/${id}/error`, JSON.stringify({ errorMessage: String(error) }));
    }
  }
}

run();
