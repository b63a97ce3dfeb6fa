// Make calls with the JavaScript SDK v2 and note each datagram. What it takes and writes is said in
// ../record_senders.py; the argument before those is the names of its APIs, separated by commas. NODE_PATH has the SDK.
'use strict';

process.env.AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE = '1';
const fs = require('fs');
const AWS = require('aws-sdk');
const { Publisher } = require('aws-sdk/lib/publisher');

const [apis, endpoint, calls, atOnce, notesFile] = process.argv.slice(2);
const names = apis.split(',');
const region = process.env.AWS_DEFAULT_REGION;
const s3 = new AWS.S3({ endpoint, region, s3ForcePathStyle: true });
const dynamodb = new AWS.DynamoDB({ endpoint, region });
const APIS = {
  GetItem: () => dynamodb.getItem({ TableName: 't', Key: { k: { S: '1' } } }),
  ListTables: () => dynamodb.listTables({}),
  ListBuckets: () => s3.listBuckets(),
  PutObject: () => s3.putObject({ Bucket: 'bucket', Key: 'key', Body: 'x' }),
};

const callOf = new WeakMap(); // by request, then also by the event that is made of it
const noted = [];

for (const name of ['apiCallEvent', 'apiAttemptEvent']) {
  const original = AWS.Service.prototype[name];
  AWS.Service.prototype[name] = function (request) {
    const event = original.call(this, request);
    callOf.set(event, callOf.get(request));
    return event;
  };
}

// The event is handled and its datagram published in one go.
let published;
const { eventHandler, publishDatagram, getClient } = Publisher.prototype;
Publisher.prototype.eventHandler = function (event) {
  published = event;
  eventHandler.call(this, event);
};
// A host name is resolved for each datagram: they may leave in another order than they are noted in here.
Publisher.prototype.publishDatagram = function (payload) {
  publishDatagram.call(this, payload);
  noted.push({ client: this.client, payload, call: callOf.get(published) });
};
Publisher.prototype.getClient = function () {
  const isNew = !this.client;
  const client = getClient.call(this);
  if (isNew) {
    client.once('listening', () => { client.notedPort = client.address().port; });
  }
  return client;
};

let made = 0;
async function work() {
  while (made < Number(calls)) {
    made += 1;
    const request = APIS[names[Math.floor(Math.random() * names.length)]]();
    callOf.set(request, made);
    await request.promise().catch(() => {}); // the stand-in's faults
  }
}

for (let worker = 0; worker < Number(atOnce); worker += 1) {
  work();
}

// When the last datagram is sent, the SDK closes its socket, and nothing keeps the process alive.
process.on('exit', () => {
  const lines = noted.map(({ client, payload, call }) => (
    `${JSON.stringify({ port: client.notedPort, b64: payload.toString('base64'), call })}\n`
  ));
  fs.writeFileSync(notesFile, lines.join(''));
});
