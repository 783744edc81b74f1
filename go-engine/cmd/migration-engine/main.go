// SPDX-License-Identifier: GPL-3.0-or-later

// Command migration-engine carries out one job of the collection migration.assistant: "run" reads it from standard
// input and writes events to standard output, "serve" is the other end of one that runs on another host, "version" tells
// what this engine is and can do. When ssh starts it to ask for a password, as "run" has told ssh, it fetches the answer
// from that process.
package main

import (
	"fmt"
	"os"

	"migration.assistant/engine/internal/far"
	"migration.assistant/engine/internal/files"
	"migration.assistant/engine/internal/operations"
	"migration.assistant/engine/internal/postgres"
	"migration.assistant/engine/internal/runner"
	"migration.assistant/engine/internal/server"
	"migration.assistant/engine/internal/sqlite"
	"migration.assistant/engine/internal/tablecopy"
	"migration.assistant/engine/internal/wire"
)

// version is set by the build: -ldflags "-X main.version=…".
var version = "0.1.0"

const usage = "usage: migration-engine run | serve | version\n"

// operationsHere has one line for each operation that this platform can do.
func operationsHere() operations.Registry {
	var registry operations.Registry
	registry = append(registry, files.Operations()...)
	registry = append(registry, sqlite.Operations()...)
	registry = append(registry, tablecopy.Operations(map[string]server.Driver{"postgresql": postgres.Driver{}})...)
	return registry
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "connect" { // for ssh alone, as a job tells it
		if err := far.HandOver(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) != 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	switch os.Args[1] {
	case "run":
		if !runner.Run(version, operationsHere(), os.Stdin, os.Stdout) {
			os.Exit(1)
		}
	case "serve":
		if err := runner.Serve(version, operationsHere(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "version":
		wire.NewEmitter(os.Stdout, func(error) { os.Exit(1) }).Hello(runner.Hello(version, operationsHere()))
	case "help", "-h", "--help":
		fmt.Print(usage)
	default:
		if address := os.Getenv(far.AskpassVariable); address != "" {
			askpass(address)
			return
		}
		fmt.Fprintf(os.Stderr, "unknown command %q\n%s", os.Args[1], usage)
		os.Exit(2)
	}
}

// askpass answers a question of the ssh that an engine has started, in its stead.
func askpass(address string) {
	if far.Askpass(address, os.Args[1], os.Stdout) != nil {
		os.Exit(1)
	}
}
