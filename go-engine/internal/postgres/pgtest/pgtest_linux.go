// SPDX-License-Identifier: GPL-3.0-or-later

package pgtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"migration.assistant/engine/internal/postgres"
	"migration.assistant/engine/internal/server"
)

// Cluster is a running server. It listens on Port, both in the directory Socket and on 127.0.0.1, where the user guarded
// must log in by Password; the superuser postgres may always come in. It offers TLS, with a Certificate of itself.
type Cluster struct {
	Socket      string
	Port        int
	Certificate string
	process     *exec.Cmd
}

// Password is that of the user guarded.
const Password = "s3cr'et \\ word"

var shared struct {
	sync.Once
	cluster *Cluster
	err     error
}

// Main runs the tests of a package, and stops the server behind them.
func Main(m *testing.M) int {
	defer func() {
		if shared.cluster != nil {
			shared.cluster.stop()
		}
	}()
	return m.Run()
}

// Shared gives the server that all tests of a package use; each makes databases of its own.
func Shared(t *testing.T) *Cluster {
	t.Helper()
	programs := programs()
	if programs == "" {
		t.Skip("the programs of PostgreSQL are not here")
	}
	shared.Do(func() { shared.cluster, shared.err = start(programs) })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.cluster
}

// programs gives the directory of initdb, the newest one of Debian's.
func programs() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	slices.SortFunc(found, func(a, b string) int {
		number := func(path string) int {
			version, _ := strconv.Atoi(strings.Split(path, "/")[4])
			return version
		}
		return number(a) - number(b)
	})
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1])
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path)
	}
	return ""
}

func start(programs string) (*Cluster, error) {
	folder, err := os.MkdirTemp("/tmp", "pg")
	if err != nil {
		return nil, err
	}
	c := &Cluster{Socket: folder, Certificate: folder + "/server.crt"}
	if c.Port, err = freePort(); err != nil {
		return nil, err
	}
	attributes, err := c.asOrdinaryUser(folder)
	if err != nil {
		return nil, err
	}
	data := folder + "/data"
	create := exec.Command(programs+"/initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-N")
	create.SysProcAttr, create.Dir = attributes, "/tmp"
	if output, err := create.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, output)
	}
	if err := c.configure(data); err != nil {
		return nil, err
	}
	c.process = exec.Command(programs+"/postgres", "-D", data)
	c.process.SysProcAttr, c.process.Dir = attributes, "/tmp"
	log, err := os.Create(folder + "/log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c.process.Stdout, c.process.Stderr = log, log
	if err := c.process.Start(); err != nil {
		return nil, err
	}
	for range 200 {
		if connection, err := (postgres.Driver{}).Connect(context.Background(), c.Server("postgres")); err == nil {
			connection.Close()
			return c, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.stop()
	return nil, fmt.Errorf("the server does not come up")
}

// asOrdinaryUser gives the directory to postgres where the tests are run by root, whom the server refuses.
func (c *Cluster) asOrdinaryUser(folder string) (*syscall.SysProcAttr, error) {
	attributes := &syscall.SysProcAttr{}
	if os.Geteuid() != 0 {
		return attributes, nil
	}
	owner, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(owner.Gid)
	attributes.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attributes, os.Chown(folder, uid, gid)
}

func (c *Cluster) configure(data string) error {
	key, err := c.certify()
	if err != nil {
		return err
	}
	status, err := os.Stat(data)
	if err != nil {
		return err
	}
	owner := status.Sys().(*syscall.Stat_t)
	for _, path := range []string{key, c.Certificate} {
		if err := os.Chown(path, int(owner.Uid), int(owner.Gid)); err != nil {
			return err
		}
	}
	settings := fmt.Sprintf("port = %d\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '%s'\nfsync = off\n"+
		"max_connections = 60\nssl = on\nssl_cert_file = '%s'\nssl_key_file = '%s'\nautovacuum = off\n",
		c.Port, c.Socket, c.Certificate, key)
	file, err := os.OpenFile(data+"/postgresql.conf", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err := file.WriteString(settings); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	rules := "host all guarded 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\nlocal all all trust\n"
	return os.WriteFile(data+"/pg_hba.conf", []byte(rules), 0o600)
}

// certify makes a certificate for 127.0.0.1, and gives the path of its key.
func (c *Cluster) certify() (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return "", err
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return "", err
	}
	path := c.Socket + "/server.key"
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}), 0o600); err != nil {
		return "", err
	}
	return path, os.WriteFile(c.Certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}), 0o644)
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// stop ends the server at once, and removes it.
func (c *Cluster) stop() {
	_ = c.process.Process.Signal(syscall.SIGQUIT)
	_ = c.process.Wait()
	_ = os.RemoveAll(c.Socket)
}

// Server says how to reach a database as postgres, by the socket.
func (c *Cluster) Server(database string) *server.Server {
	return &server.Server{
		Engine: "postgresql", Host: c.Socket, Port: c.Port, User: "postgres", Database: database,
		TLS: server.TLS{Mode: "prefer"}, ApplicationName: "test", ConnectTimeout: 10 * time.Second,
	}
}

// Database makes an empty one, which goes with the test.
func (c *Cluster) Database(t *testing.T, name string) *Database {
	t.Helper()
	admin := c.Open(t, "postgres")
	admin.Exec("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)")
	admin.Exec("CREATE DATABASE " + name)
	return c.Open(t, name)
}

// Database is a connection for what a test itself does.
type Database struct {
	Name       string
	t          *testing.T
	connection server.Connection
	mutex      sync.Mutex
}

// Open connects to a database until the test ends.
func (c *Cluster) Open(t *testing.T, name string) *Database {
	t.Helper()
	connection, err := (postgres.Driver{}).Connect(context.Background(), c.Server(name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(connection.Close)
	return &Database{Name: name, t: t, connection: connection}
}

// Exec runs statements that must not fail.
func (d *Database) Exec(statements ...string) {
	d.t.Helper()
	d.mutex.Lock()
	defer d.mutex.Unlock()
	for _, statement := range statements {
		if _, err := d.connection.Exec(context.Background(), statement); err != nil {
			d.t.Fatalf("%s: %v", statement, err)
		}
	}
}

// Ask gives the rows, each with | between its columns, by lines.
func (d *Database) Ask(statement string) string {
	d.t.Helper()
	d.mutex.Lock()
	defer d.mutex.Unlock()
	var lines []string
	err := d.connection.Query(context.Background(), statement, func(row [][]byte) error {
		var values []string
		for _, value := range row {
			values = append(values, string(value))
		}
		lines = append(lines, strings.Join(values, "|"))
		return nil
	})
	if err != nil {
		d.t.Fatalf("%s: %v", statement, err)
	}
	return strings.Join(lines, "\n")
}
