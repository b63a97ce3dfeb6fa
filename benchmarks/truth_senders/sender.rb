# Make S3 calls with the Ruby SDK v3 and note each datagram. What it takes and writes is said in ../record_senders.py;
# the first argument is the call: get_object or put_object. Redirects need one without a body, which is read but once.
require 'aws-sdk-s3'
require 'base64'
require 'json'

api, endpoint, calls, at_once, notes_file = ARGV
PARAMETERS = {
  'get_object' => { bucket: 'bucket', key: 'key' },
  'put_object' => { bucket: 'bucket', key: 'key', body: 'x' }
}.freeze
NOTED = Queue.new

# As the SDK's own, but for the noting.
class NotingPublisher < Aws::ClientSideMonitoring::Publisher
  def send_datagram(msg)
    socket = UDPSocket.new
    socket.connect(agent_host, agent_port)
    NOTED << [socket.addr[1], msg, Thread.current[:call]]
    socket.send(msg, 0)
  end
end

s3 = Aws::S3::Client.new(
  endpoint: endpoint,
  retry_mode: ENV.fetch('AWS_RETRY_MODE'),
  retry_limit: ENV.fetch('AWS_MAX_ATTEMPTS').to_i - 1,
  client_side_monitoring_publisher: NotingPublisher.new,
  force_path_style: true
)
queue = Queue.new((1..calls.to_i).to_a)
queue.close
threads = Array.new(at_once.to_i) do
  Thread.new do
    while (call = queue.pop)
      Thread.current[:call] = call
      begin
        s3.public_send(api, PARAMETERS.fetch(api))
      rescue Aws::Errors::ServiceError, Seahorse::Client::NetworkingError
        nil # the stand-in's faults
      end
    end
  end
end
threads.each(&:join)
File.open(notes_file, 'w') do |file|
  until NOTED.empty?
    port, msg, call = NOTED.pop
    file.puts(JSON.generate(port: port, b64: Base64.strict_encode64(msg), call: call))
  end
end
