package gossip

import (
	"errors"
	"fmt"
	"time"
)

// upkeep does what time brings: dialling, expiry of memberships, alarms, saving. It runs until the network is closed.
func (n *Network) upkeep() {
	tick := time.NewTicker(upkeepEvery)
	defer tick.Stop()
	saved := time.Now()
	for {
		n.closeUnvetted()
		if n.book.admit(n.knows) {
			n.passOnPeers("")
		}
		n.dialDue()
		for _, c := range n.everyCarrier() {
			c.watch()
		}
		n.reports.overdue(n)
		if time.Since(saved) > saveEvery {
			saved = time.Now()
			n.book.keep(n.knows)
			if err := n.save(); err != nil {
				n.log.Warn("save what is known of peers", "err", err)
			}
		}
		select {
		case <-n.ctx.Done():
			return
		case <-tick.C:
		case <-n.upkeepWake:
		}
	}
}

// save stores the book and the open reports.
func (n *Network) save() error {
	var errs []error
	for name, save := range map[string]func() ([]byte, error){bookCursor: n.book.save, reportsCursor: n.reports.save} {
		data, err := save()
		if err == nil && data != nil {
			err = n.o.Store.PutCursor(name, data)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("save %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}
