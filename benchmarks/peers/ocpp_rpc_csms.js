// A central system on ocpp-rpc in strict mode, as its documentation builds one. Prints its port.
const { RPCServer } = require("ocpp-rpc");

const server = new RPCServer({ protocols: ["ocpp1.6"], strictMode: true });
server.auth((accept) => accept({}));
server.on("client", (client) => {
  client.handle("BootNotification", () => ({
    status: "Accepted",
    interval: 300,
    currentTime: new Date().toISOString(),
  }));
  client.handle("StartTransaction", () => ({
    transactionId: 1804821390,
    idTagInfo: { status: "Accepted" },
  }));
  client.handle("MeterValues", () => ({}));
});
server.listen(0, "127.0.0.1").then((http) => console.log(http.address().port));
