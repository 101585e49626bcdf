package gossip

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// serve sets the handlers of our protocols.
func (n *Network) serve() {
	n.host.SetStreamHandler(headsProtocol, func(s network.Stream) {
		if !n.vetted(s.Conn().RemotePeer()) {
			s.Reset()
			return
		}
		n.spawn(func() { n.hear(s) })
	})
	for proto, answer := range map[protocol.ID]func(context.Context, peer.ID, network.Stream) error{
		headProtocol: n.answerHead, tilesProtocol: n.answerTiles, cosignProtocol: n.answerCosign,
		reportProtocol: n.answerReport, evidenceProtocol: n.answerEvidence,
	} {
		n.host.SetStreamHandler(proto, func(s network.Stream) { n.spawn(func() { n.answer(s, answer) }) })
	}
}

// answer runs the handler of a protocol of one question. What ends in an error is reset; a breach of the protocol is counted against the
// peer; whatever goes wrong here isn't.
func (n *Network) answer(s network.Stream, handle func(context.Context, peer.ID, network.Stream) error) {
	p := s.Conn().RemotePeer()
	l, ok := n.link(p)
	if !ok {
		l = n.syncLink(p)
	}
	if l == nil || !n.vetted(p) {
		s.Reset()
		return
	}
	stop := context.AfterFunc(l.ctx, func() { s.Reset() })
	defer stop()
	err := l.rate.Wait(l.ctx)
	if err == nil {
		err = handle(l.ctx, p, s)
	}
	if err == nil {
		s.Close()
		return
	}
	s.Reset()
	switch {
	case errors.Is(err, errRule):
		n.broke(p, err)
	case errors.Is(err, errOurs):
		n.log.Error("answer peer", "peer", p.String(), "protocol", string(s.Protocol()), "err", err)
	default:
		n.log.Debug("answer peer", "peer", p.String(), "protocol", string(s.Protocol()), "err", err)
	}
}

// errOurs is what went wrong here.
var errOurs = errors.New("our own store")

// answerTiles is the handler of tiles/1. The right to read is looked up before each part: who is struck off while it downloads gets no more.
func (n *Network) answerTiles(_ context.Context, p peer.ID, s network.Stream) error {
	data, err := receive(s, askTimeout, upTo(maxAsk))
	if err != nil {
		return err
	}
	m, err := parseTilesAsk(data)
	if err != nil {
		return err
	}
	for _, path := range m.Paths {
		if !n.reads(p, m.Origin.Name()) {
			return errDenied
		}
		part, err := n.o.Store.Part(m.Origin, path, m.Size)
		head := make([]byte, 4)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			binary.BigEndian.PutUint32(head, absent)
		case err != nil:
			return errors.Join(errOurs, err)
		default:
			binary.BigEndian.PutUint32(head, uint32(len(part)))
		}
		s.SetWriteDeadline(time.Now().Add(writeTimeout + time.Duration(len(part)/minRate)*time.Second))
		if _, err := s.Write(append(head, part...)); err != nil {
			return err
		}
		n.metrics.served.Add(float64(len(part)))
	}
	return s.CloseWrite()
}
