// The codec of ocpp-rpc in strict mode: what its client does to a CALL between socket and handler, and back.
// Reads [{version, action, text}] from stdin; prints [{decode, encode}] in messages a second.
const standard = require("ocpp-rpc/lib/standard-validators");

const validators = new Map(standard.map((validator) => [validator.subprotocol, validator]));

function rate(work, seconds) {
  work();
  let count = 0;
  const start = process.cpuUsage();
  let used;
  do {
    for (let i = 0; i < 20; i++) work();
    count += 20;
    const { user, system } = process.cpuUsage(start);
    used = (user + system) / 1e6;
  } while (used < seconds);
  return count / used;
}

const best = (work, seconds) => Math.max(...[1, 2, 3].map(() => rate(work, seconds)));

const samples = JSON.parse(require("fs").readFileSync(0, "utf8"));
const seconds = Number(process.argv[2]);
const rates = samples.map(({ version, action, text }) => {
  const validator = validators.get(version);
  const schema = `urn:${action}.req`;
  const message = JSON.parse(text);
  return {
    decode: best(() => validator.validate(schema, JSON.parse(text)[3]), seconds),
    encode: best(() => validator.validate(schema, message[3]) && JSON.stringify(message), seconds),
  };
});
console.log(JSON.stringify(rates));
