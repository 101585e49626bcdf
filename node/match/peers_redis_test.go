package match

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// redisBytes is what a key takes in Redis, to leave it out where that doesn't fit.
const redisBytes = 140

// startRedis starts a redis-server of its own on a socket, which keeps nothing on disk, and
// enters the values; nil, if it isn't installed or this run is small. Who has asked it ends it.
func (h *harness) startRedis(t *testing.T, s *exactSet) (peer *exactPeer, end func()) {
	if !h.full {
		return nil, nil
	}
	path, err := exec.LookPath("redis-server")
	if err != nil {
		h.tell(t, "no Redis: Debian's package is redis-server")
		return nil, nil
	}
	if need, there := uint64(s.n)*redisBytes, freeMemory(); need > there {
		h.tell(t, "Redis left out: needs up to %d MB, %d MB are free", need>>20, there>>20)
		return nil, nil
	}
	dir, err := os.MkdirTemp("", "redis") // a socket's name can't be long
	must(t, err)
	socket := filepath.Join(dir, "s")
	// The shell ends the server when its input ends, so also when this process dies.
	cmd := exec.Command("sh", "-c", `"$@" >/dev/null & server=$!; cat; kill $server; wait $server`, "redis", path,
		"--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", dir)
	in, err := cmd.StdinPipe()
	must(t, err)
	must(t, cmd.Start())
	end = sync.OnceFunc(func() {
		in.Close()
		cmd.Wait()
		os.RemoveAll(dir)
	})
	t.Cleanup(end) // also when the test fails
	r, err := dialRedis(socket)
	must(t, err)
	before, err := r.info("memory", "used_memory")
	must(t, err)
	began := time.Now()
	for i := 0; i < s.n; {
		var commands bytes.Buffer
		sent := 0
		for ; sent < together && i < s.n; i, sent = i+1, sent+1 {
			command(&commands, "SET", s.entered(i), strconv.AppendInt(nil, int64(i), 10))
		}
		must(t, r.pipeline(commands.Bytes(), sent, func(line string) error {
			if line != "+OK" {
				return fmt.Errorf("set: %q", line)
			}
			return nil
		}))
	}
	build := time.Since(began)
	after, err := r.info("memory", "used_memory")
	must(t, err)
	version, err := r.info("server", "redis_version")
	must(t, err)
	h.machine.redis = "Redis " + version
	h.tell(t, "Redis filled in %.1f s", build.Seconds())
	from, _ := strconv.ParseInt(before, 10, 64)
	to, _ := strconv.ParseInt(after, 10, 64)
	return &exactPeer{fmt.Sprintf("Redis, EXISTS, pipelines of %d", together), false, build, to - from, r.exist}, end
}

type redis struct {
	conn net.Conn
	in   *bufio.Reader
}

// dialRedis waits until the server is there.
func dialRedis(socket string) (*redis, error) {
	for i := 0; ; i++ {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			return &redis{conn, bufio.NewReader(conn)}, nil
		}
		if i == 500 {
			return nil, err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// command writes a command as Redis reads it.
func command(b *bytes.Buffer, name string, args ...[]byte) {
	fmt.Fprintf(b, "*%d\r\n$%d\r\n%s\r\n", len(args)+1, len(name), name)
	for _, a := range args {
		fmt.Fprintf(b, "$%d\r\n%s\r\n", len(a), a)
	}
}

// pipeline sends commands together, and reads a line for each.
func (r *redis) pipeline(commands []byte, count int, answer func(line string) error) error {
	if _, err := r.conn.Write(commands); err != nil {
		return err
	}
	for range count {
		line, err := r.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if err := answer(string(line[:len(line)-2])); err != nil {
			return err
		}
	}
	return nil
}

// exist is an exactPeer's count. The commands are written before the clock starts.
func (r *redis) exist(keys []byte) (found int, took time.Duration, err error) {
	var commands bytes.Buffer
	for i := 0; i < len(keys); i += 32 {
		command(&commands, "EXISTS", keys[i:i+32])
	}
	began := time.Now()
	err = r.pipeline(commands.Bytes(), len(keys)/32, func(line string) error {
		switch line {
		case ":1":
			found++
		case ":0":
		default:
			return fmt.Errorf("exists: %q", line)
		}
		return nil
	})
	return found, time.Since(began), err
}

// info returns a field of the server's account of itself.
func (r *redis) info(section, field string) (string, error) {
	var b bytes.Buffer
	command(&b, "INFO", []byte(section))
	if _, err := r.conn.Write(b.Bytes()); err != nil {
		return "", err
	}
	head, err := r.in.ReadString('\n')
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(head, "$")))
	if err != nil {
		return "", fmt.Errorf("info: %q", head)
	}
	text := make([]byte, n+2)
	if _, err := io.ReadFull(r.in, text); err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(v), nil
		}
	}
	return "", fmt.Errorf("info: no %s", field)
}
