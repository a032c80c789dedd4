// Either end of a conversation on the npm package ocpp-rpc in strict mode, as its documentation uses it.
// Arguments, script and report are those of mobilityhouse.py.
const { RPCClient, RPCServer, createRPCError, createValidator } = require("ocpp-rpc");

const say = (what) => console.log(JSON.stringify(what));

// Its 2.1 schemas have other ids (urn:XRequest) than those it asks for (urn:X.req), so that in strict mode it
// refuses every 2.1 message (2.2.1). These are its own schemas under the names it asks for.
const schemas21 = require("ocpp-rpc/lib/schemas/ocpp2_1.json").map((schema) => ({
  ...schema,
  $id: schema.$id.replace(/Request$/, ".req").replace(/Response$/, ".conf"),
}));
const strict = { strictMode: true, strictModeValidators: [createValidator("ocpp2.1", schemas21)] };

// A payload with its "$member" texts replaced.
function filled(value, results) {
  if (Array.isArray(value)) return value.map((item) => filled(item, results));
  if (value instanceof Object)
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, filled(member, results)]));
  return typeof value === "string" && value.startsWith("$") ? results[value.slice(1)] : value;
}

// Attaches the script's answers to a client; returns a function that makes the script's calls.
function prepare(client, script) {
  const arrivals = new Map();
  const arrival = (action) => {
    if (!arrivals.has(action)) {
      let arrived;
      const promise = new Promise((resolve) => (arrived = resolve));
      arrivals.set(action, { promise, arrived });
    }
    return arrivals.get(action);
  };

  client.on("strictValidationFailure", ({ method, error, outbound }) =>
    say({ refused: method, code: error.rpcErrorCode, description: error.message, outbound })
  );
  client.on("call", ({ outbound, payload }) => outbound && say({ sent: payload[2], payload: payload[3] }));
  client.on("badMessage", ({ error }) => say({ refused: null, code: error.rpcErrorCode }));
  client.handle(({ method, params }) => {
    say({ received: method, payload: params });
    setImmediate(arrival(method).arrived);
    if (!script.answers[method]) throw createRPCError("NotSupported", "not in the script");
    return script.answers[method];
  });

  const results = {};
  return async () => {
    for (const { action, payload, when, unchecked } of script.calls) {
      if (when) await arrival(when).promise;
      client.reconfigure({ strictMode: !unchecked });
      try {
        const result = await client.call(action, filled(payload, results));
        Object.assign(results, result);
        say({ result: action, payload: result });
      } catch (error) {
        say({ error: action, code: error.rpcErrorCode ?? error.name, description: error.message });
      }
    }
  };
}

async function station(version, url, script) {
  const slash = url.lastIndexOf("/");
  const client = new RPCClient({
    endpoint: url.slice(0, slash),
    identity: url.slice(slash + 1),
    protocols: [version],
    password: script.password,
    ...strict,
    reconnect: false,
  });
  client.once("close", ({ code }) => say({ closed: code }));
  const makeCalls = prepare(client, script);
  try {
    await client.connect();
  } catch (error) {
    say({ unwelcome: error.code ?? String(error) });
    return;
  }
  await makeCalls();
}

async function csms(version, script) {
  const server = new RPCServer({ protocols: [version], ...strict });
  server.auth((accept, reject, { password }) =>
    script.password === null || script.password === password?.toString() ? accept() : reject(401)
  );
  server.on("client", (client) => {
    client.once("close", ({ code }) => {
      say({ closed: code });
      server.close({ force: true });
    });
    prepare(client, script)();
  });
  const http = await server.listen(0, "127.0.0.1");
  say({ port: http.address().port });
}

const [role, version, url] = process.argv.slice(2);
const script = JSON.parse(require("fs").readFileSync(0, "utf8"));
role === "station" ? station(version, url, script) : csms(version, script);
