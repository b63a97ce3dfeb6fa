// Make S3 and DynamoDB calls with the Go SDK v1. What it takes and prints is said in ../../sdks.py.
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/session"
	"github.com/aws/aws-sdk-go/service/dynamodb"
	"github.com/aws/aws-sdk-go/service/s3"
)

const (
	bucket = "interop"
	table  = "interop"
	// The SDK reports from a goroutine that nothing can wait for; what is still queued is lost
	// when main returns, and when a new session closes the port that the last one had.
	reporting = 300 * time.Millisecond
)

type report struct {
	API   string  `json:"api"`
	Label string  `json:"label"`
	Began float64 `json:"began"`
	Ended float64 `json:"ended"`
	Error *string `json:"error"`
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return value
}

func now() float64 {
	return float64(time.Now().UnixNano()) / 1e9
}

func main() {
	endpoint, attempts, timeoutMs, workers := os.Args[1], number(os.Args[2]), number(os.Args[3]), number(os.Args[4])
	config := &aws.Config{
		Endpoint:         aws.String(endpoint),
		MaxRetries:       aws.Int(attempts - 1),
		HTTPClient:       &http.Client{Timeout: time.Duration(timeoutMs) * time.Millisecond},
		S3ForcePathStyle: aws.Bool(true),
		// With CSM on the default logger says so on stdout.
		Logger: aws.LoggerFunc(log.Println),
	}
	connect := func() (*s3.S3, *dynamodb.DynamoDB) {
		open := session.Must(session.NewSession(config))
		return s3.New(open), dynamodb.New(open)
	}
	s3Client, dynamodbClient := connect()

	call := func(api, label string) error {
		if api == "PutObject" {
			_, err := s3Client.PutObject(&s3.PutObjectInput{
				Bucket: aws.String(bucket), Key: aws.String(label), Body: strings.NewReader("x"),
			})
			return err
		}
		_, err := dynamodbClient.GetItem(&dynamodb.GetItemInput{
			TableName: aws.String(table),
			Key:       map[string]*dynamodb.AttributeValue{"id": {S: aws.String(label)}},
		})
		return err
	}

	calls := make(chan string)
	var working sync.WaitGroup
	var printing sync.Mutex
	for i := 0; i < workers; i++ {
		working.Add(1)
		go func() {
			defer working.Done()
			for named := range calls {
				if named == "NewSession" { // for one worker only
					time.Sleep(reporting)
					s3Client, dynamodbClient = connect()
					continue
				}
				parts := strings.SplitN(named, "/", 2)
				made := report{API: parts[0], Label: parts[1], Began: now()}
				if err := call(made.API, made.Label); err != nil {
					text := err.Error()
					made.Error = &text
				}
				made.Ended = now()
				printing.Lock()
				if err := json.NewEncoder(os.Stdout).Encode(made); err != nil {
					panic(err)
				}
				printing.Unlock()
			}
		}()
	}
	for _, named := range os.Args[5:] {
		calls <- named
	}
	close(calls)
	working.Wait()
	time.Sleep(reporting)
}
