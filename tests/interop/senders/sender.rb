# Make S3 calls with the Ruby SDK v3. What it takes and prints is said in ../sdks.py.
require 'aws-sdk-s3'
require 'json'

BUCKET = 'interop'
endpoint, attempts, timeout_ms, workers, *calls = ARGV
s3 = Aws::S3::Client.new(
  endpoint: endpoint,
  retry_mode: 'legacy',
  retry_limit: attempts.to_i - 1,
  http_read_timeout: timeout_ms.to_i / 1000.0,
  force_path_style: true
)
$stdout.sync = true
queue = Queue.new(calls)
queue.close
printing = Mutex.new

def now
  Process.clock_gettime(Process::CLOCK_REALTIME)
end

threads = Array.new(workers.to_i) do
  Thread.new do
    while (named = queue.pop)
      api, label = named.split('/')
      error = nil
      began = now
      begin
        s3.put_object(bucket: BUCKET, key: label, body: 'x')
      rescue Aws::Errors::ServiceError, Seahorse::Client::NetworkingError => raised
        error = raised.class.name
      end
      ended = now
      line = JSON.generate(api: api, label: label, began: began, ended: ended, error: error)
      printing.synchronize { puts line }
    end
  end
end
threads.each(&:join)
