// Command template-cases renders templates with Go's text/template and the functions of
// consul-template. Its argument is a file with Vault's answers: a JSON object from paths to bodies;
// without it the Vault at VAULT_ADDR is asked, with VAULT_TOKEN.
// Each line of its input is a template; each line of its output is the file in base64, or an error.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"

	dep "github.com/hashicorp/consul-template/dependency"
	"github.com/hashicorp/consul-template/template"
)

type question struct {
	Text              string `json:"text"`
	Left              string `json:"left"`
	Right             string `json:"right"`
	ErrorOnMissingKey bool   `json:"error_on_missing_key"`
}

type rendered struct {
	Output []byte `json:"output"`
	Error  string `json:"error"`
}

func main() {
	log.SetOutput(io.Discard)
	clients := dep.NewClientSet()
	vault := dep.CreateVaultClientInput{Address: os.Getenv("VAULT_ADDR"), Token: os.Getenv("VAULT_TOKEN")}
	if len(os.Args) > 1 {
		vault = dep.CreateVaultClientInput{Address: serve(os.Args[1]), Token: "t"}
	}
	if err := clients.CreateVaultClient(&vault); err != nil {
		panic(err)
	}
	dep.SetVaultLeaseRenewalThreshold(0.9)
	brain := template.NewBrain()
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(err)
		}
		var answer rendered
		output, err := render(asked, brain, clients)
		if err != nil {
			answer.Error = err.Error()
		} else {
			answer.Output = output
		}
		line, err := json.Marshal(answer)
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(out, "%s\n", line)
	}
	if err := lines.Err(); err != nil {
		panic(err)
	}
}

// render fetches what the template asks for, as consul-template's runner does, and renders it then.
func render(asked question, brain *template.Brain, clients *dep.ClientSet) ([]byte, error) {
	if asked.Text == "" {
		return nil, nil
	}
	if err := fetch(asked, brain, clients); err != nil {
		return nil, err
	}
	result, err := execute(asked, asked.ErrorOnMissingKey, brain)
	if err != nil {
		return nil, err
	}
	return result.Output, nil
}

// fetch renders without errors for missing keys until no answer is missing. An error of the template
// ends it; it comes again when the template is rendered.
func fetch(asked question, brain *template.Brain, clients *dep.ClientSet) error {
	for {
		result, err := execute(asked, false, brain)
		if err != nil || result.Missing.Len() == 0 {
			return nil
		}
		for _, wanted := range result.Missing.List() {
			if wanted.Type() != dep.TypeVault {
				return fmt.Errorf("%s is not of Vault", wanted)
			}
			data, _, err := wanted.Fetch(clients, &dep.QueryOptions{})
			if err != nil {
				return err
			}
			brain.Remember(wanted, data)
		}
	}
}

func execute(asked question, errorOnMissingKey bool, brain *template.Brain) (*template.ExecuteResult, error) {
	parsed, err := template.NewTemplate(&template.NewTemplateInput{
		Contents:      asked.Text,
		LeftDelim:     asked.Left,
		RightDelim:    asked.Right,
		ErrMissingKey: errorOnMissingKey,
	})
	if err != nil {
		return nil, err
	}
	return parsed.Execute(&template.ExecuteInput{Brain: brain})
}

// serve answers as Vault does, and returns its address.
func serve(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	var answers map[string]json.RawMessage
	if err := json.Unmarshal(text, &answers); err != nil {
		panic(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, http.HandlerFunc(func(out http.ResponseWriter, request *http.Request) {
		body, found := answers[strings.TrimPrefix(request.URL.Path, "/v1/")]
		if !found {
			http.NotFound(out, request)
			return
		}
		out.Header().Set("Content-Type", "application/json")
		out.Write(body)
	}))
	return "http://" + listener.Addr().String()
}
