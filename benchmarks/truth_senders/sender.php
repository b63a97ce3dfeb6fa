<?php
// Get S3 objects by promises with the SDK for PHP v3 and note each datagram. What it takes and writes is said in
// ../record_senders.py; the first argument is the SDK's vendor/autoload.php.

namespace Aws\ClientSideMonitoring {
    // Found before the global one by the middlewares, which are in this namespace.
    function socket_write($socket, $datagram, $length)
    {
        $middleware = debug_backtrace(DEBUG_BACKTRACE_PROVIDE_OBJECT, 2)[1]['object'];
        socket_getsockname($socket, $address, $port);
        \Sender::$noted[] = [$port, $datagram, \Sender::$calls[$middleware]];
        return \socket_write($socket, $datagram, $length);
    }
}

namespace {
    final class Sender
    {
        public static WeakMap $calls; // by monitoring middleware; each command has its own
        public static array $noted = [];
        public static int $call;
    }

    [, $autoload, $endpoint, $calls, $atOnce, $notesFile] = $argv;
    require $autoload;

    Sender::$calls = new WeakMap();
    $s3 = new Aws\S3\S3Client([
        'endpoint' => $endpoint,
        'region' => 'us-east-1',
        'retries' => getenv('AWS_MAX_ATTEMPTS') - 1, // a number is for mode legacy
        'use_path_style_endpoint' => true,
        'version' => 'latest',
    ]);
    // Called with each middleware while a command's handler is made; it adds nothing to it.
    $s3->getHandlerList()->interpose(fn () => function (callable $handler) {
        if ($handler instanceof Aws\ClientSideMonitoring\AbstractMonitoringMiddleware) {
            Sender::$calls[$handler] = Sender::$call;
        }
        return $handler;
    });
    $commands = (function () use ($s3, $calls) {
        for ($call = 0; $call < $calls; $call++) {
            yield $call => $s3->getCommand('GetObject', ['Bucket' => 'bucket', 'Key' => 'key']);
        }
    })();
    $pool = new Aws\CommandPool($s3, $commands, [
        'concurrency' => (int) $atOnce,
        'before' => fn ($command, $call) => Sender::$call = $call,
    ]);
    $pool->promise()->wait();
    $file = fopen($notesFile, 'w');
    foreach (Sender::$noted as [$port, $datagram, $call]) {
        fwrite($file, json_encode(['port' => $port, 'b64' => base64_encode($datagram), 'call' => $call]) . "\n");
    }
}
