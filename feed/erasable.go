package feed

// Erasable returns the newest retract of an item that is retracted, and the records it lists whose bodies are here: those that are to be
// erased, some time after it (WIRE §7). An item that isn't retracted, or that was reinstated, has none.
func (it *Item) Erasable() (retract Position, bodies []Position) {
	if !it.Retracted() || it.more == nil {
		return Position{}, nil
	}
	for _, e := range it.more.records {
		if e.content != contentAbsent {
			bodies = append(bodies, e.at.position())
		}
	}
	return it.more.retract.position(), bodies
}
