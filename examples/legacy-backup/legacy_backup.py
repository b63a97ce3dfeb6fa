#!/usr/bin/env python
#
# legacy_backup.py - copy a directory to S3, write down what was copied
#
# usage: legacy_backup.py [-b bucket] [-t table] [-q queue] [-n threads] directory
#
# 2015-03-11  first version
# 2015-06-02  upload with threads, the night was too short
# 2016-01-20  tell the queue when done
# 2019-12-30  python 3
#

import getopt
import os
import queue
import sys
import threading

import boto3
from botocore.exceptions import ClientError

BUCKET = 'nightly-backup'
TABLE = 'backup-catalog'
QUEUE = 'backup-done'
THREADS = 3

REPORT_BUCKET = 'finance-reports'
REPORT_KEY = 'backup/exclude.txt'


def usage():
    print('usage: legacy_backup.py [-b bucket] [-t table] [-q queue] [-n threads] directory')


def upload_worker(s3, bucket, todo, failed):
    while True:
        try:
            path, key = todo.get_nowait()
        except queue.Empty:
            return
        try:
            s3.upload_file(path, bucket, key)
            print('uploaded {0}'.format(key))
        except Exception as e:
            print('ERROR: {0}: {1}'.format(key, e))
            failed.append(key)


def upload_all(s3, bucket, directory, threads):
    todo = queue.Queue()
    failed = []
    for name in sorted(os.listdir(directory)):
        todo.put((os.path.join(directory, name), 'nightly/' + name))
    workers = []
    for i in range(threads):
        t = threading.Thread(target=upload_worker, args=(s3, bucket, todo, failed))
        t.start()
        workers.append(t)
    for t in workers:
        t.join()
    return failed


def make_table(dynamodb, table):
    try:
        dynamodb.create_table(
            TableName=table,
            AttributeDefinitions=[{'AttributeName': 'key', 'AttributeType': 'S'}],
            KeySchema=[{'AttributeName': 'key', 'KeyType': 'HASH'}],
            ProvisionedThroughput={'ReadCapacityUnits': 1, 'WriteCapacityUnits': 1},
        )
    except ClientError as e:
        if e.response['Error']['Code'] != 'ResourceInUseException':
            raise
    dynamodb.get_waiter('table_exists').wait(TableName=table)


def record_all(s3, dynamodb, bucket, table):
    count = 0
    paginator = s3.get_paginator('list_objects_v2')
    for page in paginator.paginate(Bucket=bucket, Prefix='nightly/', PaginationConfig={'PageSize': 3}):
        for obj in page.get('Contents', []):
            dynamodb.put_item(
                TableName=table,
                Item={'key': {'S': obj['Key']}, 'size': {'N': str(obj['Size'])}},
            )
            count += 1
    return count


def main():
    try:
        opts, args = getopt.getopt(sys.argv[1:], 'b:t:q:n:h')
    except getopt.GetoptError as e:
        print(e)
        usage()
        sys.exit(2)
    bucket, table, queue_name, threads = BUCKET, TABLE, QUEUE, THREADS
    for o, a in opts:
        if o == '-b':
            bucket = a
        elif o == '-t':
            table = a
        elif o == '-q':
            queue_name = a
        elif o == '-n':
            threads = int(a)
        elif o == '-h':
            usage()
            sys.exit()
    if len(args) != 1:
        usage()
        sys.exit(2)
    directory = args[0]

    s3 = boto3.client('s3')
    dynamodb = boto3.client('dynamodb')

    print('backup as {0}'.format(boto3.client('sts').get_caller_identity()['Arn']))

    if bucket not in [b['Name'] for b in s3.list_buckets()['Buckets']]:
        print('no bucket {0} yet, creating it'.format(bucket))
        s3.create_bucket(Bucket=bucket)

    # finance has a list of what we must not keep. we have asked for access in 2016
    try:
        s3.get_object(Bucket=REPORT_BUCKET, Key=REPORT_KEY)
    except ClientError as e:
        print('WARNING: no exclude list: {0}'.format(e))

    try:
        last = s3.head_object(Bucket=bucket, Key='nightly/LAST_GOOD')
        print('last good backup: {0}'.format(last['LastModified']))
    except ClientError as e:
        if e.response['Error']['Code'] != '404':
            raise
        print('no good backup before this one')

    failed = upload_all(s3, bucket, directory, threads)

    make_table(dynamodb, table)
    count = record_all(s3, dynamodb, bucket, table)
    print('{0} objects in the catalog'.format(count))

    sqs = boto3.client('sqs')
    url = sqs.create_queue(QueueName=queue_name)['QueueUrl']
    sqs.send_message(QueueUrl=url, MessageBody='{0} ok, {1} failed'.format(count, len(failed)))

    if failed:
        sys.exit(1)
    print('done')


if __name__ == '__main__':
    main()
