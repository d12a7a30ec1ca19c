// mount-load calls Mount on a provider's unix socket as the Secrets Store CSI driver does: through
// grpc-go, over one connection. It prints how fast the answers came, as one line of JSON.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protodelim"
	"sigs.k8s.io/secrets-store-csi-driver/provider/v1alpha1"
)

// callTimeout is just below the two minutes that kubelet gives the driver.
const callTimeout = 115 * time.Second

// result is what one run prints. Latencies are in milliseconds.
type result struct {
	Count     int     `json:"count"`
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	Longest   float64 `json:"longest_ms"`
}

func main() {
	socket := flag.String("socket", "", "the provider's unix `path`")
	requests := flag.String("requests", "", "`file` of length-delimited MountRequests, one for each worker")
	duration := flag.Duration("duration", 2*time.Second, "how long the workers mount")
	flag.Parse()
	if err := run(*socket, *requests, *duration); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(socket, file string, duration time.Duration) error {
	requests, err := readRequests(file)
	if err != nil {
		return fmt.Errorf("cannot read the requests: %w", err)
	}
	conn, err := connect(socket)
	if err != nil {
		return fmt.Errorf("cannot connect to %s: %w", socket, err)
	}
	defer conn.Close()
	measured, err := load(v1alpha1.NewCSIDriverProviderClient(conn), requests, duration)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(measured)
}

func readRequests(file string) ([]*v1alpha1.MountRequest, error) {
	opened, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	reader := bufio.NewReader(opened)
	var requests []*v1alpha1.MountRequest
	for {
		request := new(v1alpha1.MountRequest)
		err := protodelim.UnmarshalFrom(reader, request)
		if errors.Is(err, io.EOF) {
			return requests, nil
		}
		if err != nil {
			return nil, err
		}
		requests = append(requests, request)
	}
}

// connect dials as the driver does, and returns when the connection is ready for calls.
func connect(socket string) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient("unix:"+socket,
		grpc.WithAuthority("localhost"),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn.Connect()
	for state := conn.GetState(); state != connectivity.Ready; state = conn.GetState() {
		if !conn.WaitForStateChange(ctx, state) {
			conn.Close()
			return nil, ctx.Err()
		}
	}
	return conn, nil
}

// load has one worker for each request. A worker mounts its request again and again.
func load(client v1alpha1.CSIDriverProviderClient, requests []*v1alpha1.MountRequest, duration time.Duration) (result, error) {
	latencies := make([][]time.Duration, len(requests))
	errs := make([]error, len(requests))
	var workers sync.WaitGroup
	begun := time.Now()
	for i, request := range requests {
		workers.Go(func() {
			for time.Since(begun) < duration && errs[i] == nil {
				one := time.Now()
				errs[i] = mount(client, request)
				latencies[i] = append(latencies[i], time.Since(one))
			}
		})
	}
	workers.Wait()
	took := time.Since(begun)
	return summary(slices.Concat(latencies...), took), errors.Join(errs...)
}

func mount(client v1alpha1.CSIDriverProviderClient, request *v1alpha1.MountRequest) error {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	answer, err := client.Mount(ctx, request)
	if err != nil {
		return err
	}
	if len(answer.GetFiles()) == 0 || len(answer.GetObjectVersion()) == 0 {
		return errors.New("an answer without files or versions")
	}
	return nil
}

func summary(latencies []time.Duration, took time.Duration) result {
	if len(latencies) == 0 {
		return result{}
	}
	slices.Sort(latencies)
	at := func(percent int) float64 {
		return latencies[(len(latencies)-1)*percent/100].Seconds() * 1e3
	}
	return result{
		Count:     len(latencies),
		PerSecond: float64(len(latencies)) / took.Seconds(),
		P50:       at(50),
		P99:       at(99),
		Longest:   at(100),
	}
}
