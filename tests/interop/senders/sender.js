// Make S3 and DynamoDB calls with the JavaScript SDK v2. What it takes and prints is said in ../sdks.py.
'use strict';

process.env.AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE = '1';
const AWS = require('aws-sdk');

const BUCKET = 'interop';
const TABLE = 'interop';
const [endpoint, attempts, timeoutMs, workers, ...calls] = process.argv.slice(2);
const options = {
  endpoint,
  maxRetries: Number(attempts) - 1,
  httpOptions: { timeout: Number(timeoutMs) },
  s3ForcePathStyle: true,
};
const s3 = new AWS.S3(options);
const dynamodb = new AWS.DynamoDB(options);

// Wall time in seconds, by the clock that the SDK reads. performance.timeOrigin is finer, but it is read once, at the
// start, and was seen 4.5 ms off that clock in a whole run.
function now() {
  return Date.now() / 1000;
}

function call(api, label) {
  return api === 'PutObject'
    ? s3.putObject({ Bucket: BUCKET, Key: label, Body: 'x' }).promise()
    : dynamodb.getItem({ TableName: TABLE, Key: { id: { S: label } } }).promise();
}

async function work() {
  while (calls.length) {
    const [api, label] = calls.shift().split('/');
    const began = now();
    const error = await call(api, label).then(() => null, (raised) => String(raised.code || raised.name));
    const ended = now();
    console.log(JSON.stringify({ api, label, began, ended, error }));
  }
}

for (let worker = 0; worker < Number(workers); worker += 1) {
  work();
}
