// vault-relay is the least that a provider for the Secrets Store CSI driver can do: it answers each
// Mount by one GET to Vault, with a token that is given. There is no login, no class and no cache.
// Its cost is the floor that coffer-csi is measured against.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"google.golang.org/grpc"
	"sigs.k8s.io/secrets-store-csi-driver/provider/v1alpha1"
)

// keptConnections is at least the largest concurrency of the benchmark, so that none is closed.
const keptConnections = 128

// relay answers Mount with the body of one GET.
type relay struct {
	v1alpha1.UnimplementedCSIDriverProviderServer
	client *http.Client
	url    string
	token  string
}

func main() {
	socket := flag.String("socket", "", "the unix `path` to listen on")
	url := flag.String("url", "", "the `URL` of the secret")
	flag.Parse()
	// Other users can read a process's arguments, but not its environment.
	if err := serve(*socket, *url, os.Getenv("VAULT_TOKEN")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(socket, url, token string) error {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	transport := &http.Transport{MaxIdleConnsPerHost: keptConnections}
	server := grpc.NewServer()
	v1alpha1.RegisterCSIDriverProviderServer(server, &relay{
		client: &http.Client{Transport: transport},
		url:    url,
		token:  token,
	})
	return server.Serve(listener)
}

func (r *relay) Mount(ctx context.Context, _ *v1alpha1.MountRequest) (*v1alpha1.MountResponse, error) {
	body, err := r.get(ctx)
	if err != nil {
		return nil, err
	}
	return &v1alpha1.MountResponse{
		ObjectVersion: []*v1alpha1.ObjectVersion{{Id: "secret", Version: "1"}},
		Files:         []*v1alpha1.File{{Path: "secret", Mode: 0o644, Contents: body}},
	}, nil
}

func (r *relay) get(ctx context.Context) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-Vault-Token", r.token)
	request.Header.Set("X-Vault-Request", "true")
	answer, err := r.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("Vault answered %s", answer.Status)
	}
	return io.ReadAll(answer.Body)
}
