// Make calls with the Go SDK v1 and note each datagram. What it takes and writes is said in
// ../../record_senders.py; the argument before those is the names of its APIs, separated by commas.
// With -sessions each goroutine has a session of its own; -delay replaces the SDK's back-off.
// The SDK has 100 datagrams waiting at most and drops the others.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"math/rand"
	"net"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/client"
	"github.com/aws/aws-sdk-go/aws/csm"
	"github.com/aws/aws-sdk-go/aws/request"
	"github.com/aws/aws-sdk-go/aws/session"
	"github.com/aws/aws-sdk-go/service/dynamodb"
	"github.com/aws/aws-sdk-go/service/s3"
)

const (
	// The SDK reports from a goroutine that nothing can wait for.
	reporting = 300 * time.Millisecond
	field     = `"XAmznRequestId":"`
	mark      = "call "
)

type callKey struct{}

type note struct {
	Port    int    `json:"port"`
	Payload []byte `json:"b64"`
	Call    string `json:"call"`
}

// notingConn is the connection of the SDK's reporter. Only the reporter's goroutine writes.
type notingConn struct {
	net.Conn
	port  int
	noted *[]note
}

// Write notes the call, takes its mark out of the payload and sends what is left: the SDK's own payload.
func (conn *notingConn) Write(marked []byte) (int, error) {
	before, rest, found := bytes.Cut(marked, []byte(field+mark))
	if !found {
		panic("a datagram without a mark")
	}
	call, after, _ := bytes.Cut(rest, []byte(";"))
	payload := bytes.Join([][]byte{before, after}, []byte(field))
	*conn.noted = append(*conn.noted, note{conn.port, payload, string(call)})
	return conn.Conn.Write(payload)
}

// noteDatagrams has the reporter send through a notingConn, for which it has no public means.
func noteDatagrams(noted *[]note) {
	conn := (*net.Conn)(unsafe.Pointer(reflect.ValueOf(csm.Get()).Elem().FieldByName("conn").UnsafeAddr()))
	*conn = &notingConn{*conn, (*conn).LocalAddr().(*net.UDPAddr).Port, noted}
}

// markCalls replaces the reporter's handlers by some that show it each request's id with the call before it.
func markCalls(handlers *request.Handlers) {
	var reporters request.Handlers
	csm.Get().InjectHandlers(&reporters)
	marking := func(report request.HandlerList) func(*request.Request) {
		return func(r *request.Request) {
			id := r.RequestID
			r.RequestID = mark + r.Context().Value(callKey{}).(string) + ";" + id
			report.Run(r)
			r.RequestID = id
		}
	}
	handlers.Complete.SwapNamed(request.NamedHandler{
		Name: csm.APICallMetricHandlerName, Fn: marking(reporters.Complete),
	})
	handlers.CompleteAttempt.SwapNamed(request.NamedHandler{
		Name: csm.APICallAttemptMetricHandlerName, Fn: marking(reporters.CompleteAttempt),
	})
}

type clients struct {
	s3       *s3.S3
	dynamodb *dynamodb.DynamoDB
}

func connect(endpoint string, delay time.Duration) clients {
	config := &aws.Config{
		Endpoint:         aws.String(endpoint),
		Region:           aws.String(os.Getenv("AWS_DEFAULT_REGION")),
		S3ForcePathStyle: aws.Bool(true),
		Logger:           aws.LoggerFunc(func(...any) {}), // it says that CSM is on
	}
	if delay > 0 {
		config = request.WithRetryer(config, client.DefaultRetryer{
			NumMaxRetries: client.DefaultRetryerMaxNumRetries, MinRetryDelay: delay, MinThrottleDelay: 2 * delay,
		})
	}
	open := session.Must(session.NewSession(config))
	markCalls(&open.Handlers)
	return clients{s3.New(open), dynamodb.New(open)}
}

// call makes a call; the stand-in's faults are none of the program's.
func (open clients) call(ctx context.Context, api string) {
	switch api {
	case "GetItem":
		_, _ = open.dynamodb.GetItemWithContext(ctx, &dynamodb.GetItemInput{
			TableName: aws.String("t"), Key: map[string]*dynamodb.AttributeValue{"k": {S: aws.String("1")}},
		})
	case "ListTables":
		_, _ = open.dynamodb.ListTablesWithContext(ctx, &dynamodb.ListTablesInput{})
	case "ListBuckets":
		_, _ = open.s3.ListBucketsWithContext(ctx, &s3.ListBucketsInput{})
	case "PutObject":
		_, _ = open.s3.PutObjectWithContext(ctx, &s3.PutObjectInput{
			Bucket: aws.String("bucket"), Key: aws.String("key"), Body: strings.NewReader("x"),
		})
	default:
		panic("no such API: " + api)
	}
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	sessions := flag.Bool("sessions", false, "a session for each goroutine instead of one for all")
	delay := flag.Duration("delay", 0, "the shortest before a retry; twice that if throttled")
	flag.Parse()
	apis, endpoint := strings.Split(flag.Arg(0), ","), flag.Arg(1)
	calls, atOnce, notesFile := number(flag.Arg(2)), number(flag.Arg(3)), flag.Arg(4)

	var noted []note
	shared := connect(endpoint, *delay)
	of := make([]clients, atOnce)
	for i := range of {
		of[i] = shared
		if *sessions && i > 0 {
			of[i] = connect(endpoint, *delay)
		}
	}
	noteDatagrams(&noted) // each session connects the reporter anew

	ids := make(chan string)
	var working sync.WaitGroup
	for _, open := range of {
		working.Add(1)
		go func(open clients) {
			defer working.Done()
			for id := range ids {
				open.call(context.WithValue(context.Background(), callKey{}, id), apis[rand.Intn(len(apis))])
			}
		}(open)
	}
	for i := 1; i <= calls; i++ {
		ids <- strconv.Itoa(i)
	}
	close(ids)
	working.Wait()
	time.Sleep(reporting)

	file, err := os.Create(notesFile)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	lines := json.NewEncoder(file)
	for _, one := range noted {
		if err := lines.Encode(one); err != nil {
			panic(err)
		}
	}
}
