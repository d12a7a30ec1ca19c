// Command proxy-rules prints which proxy a Go program uses. Each line of its input is a JSON object
// with the environment's variables and a URL; each line of its output is the choice.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"net/url"
	"os"

	"golang.org/x/net/http/httpproxy"
)

type question struct {
	Env map[string]string `json:"env"`
	URL string            `json:"url"`
}

type choice struct {
	IsDirect      bool   `json:"is_direct"`
	IsRefused     bool   `json:"is_refused"`
	Scheme        string `json:"scheme"`
	Host          string `json:"host"`
	Port          string `json:"port"`
	Path          string `json:"path"`
	Authorization string `json:"authorization"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			log.Fatal(err)
		}
		answer, err := json.Marshal(choose(asked))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Fprintf(out, "%s\n", answer)
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
}

func choose(asked question) choice {
	os.Clearenv()
	for name, value := range asked.Env {
		os.Setenv(name, value)
	}
	target, err := url.Parse(asked.URL)
	if err != nil {
		log.Fatal(err)
	}
	proxy, err := httpproxy.FromEnvironment().ProxyFunc()(target)
	if err != nil {
		return choice{IsRefused: true}
	}
	if proxy == nil {
		return choice{IsDirect: true}
	}
	answer := choice{Scheme: proxy.Scheme, Host: proxy.Hostname(), Port: proxy.Port(), Path: proxy.Path}
	if proxy.User != nil {
		password, _ := proxy.User.Password()
		pair := proxy.User.Username() + ":" + password
		answer.Authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
	}
	return answer
}
