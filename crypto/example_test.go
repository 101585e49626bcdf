package crypto_test

import (
	"fmt"

	"hashfeed/crypto"
)

// A publisher signs the head of its feed and stamps it with the time; whoever knows both keys checks them.
func Example() {
	const origin = "eokm.example/known/1"
	signer := crypto.NewKeyFromSeed(origin, crypto.TypeSignature, [32]byte{1}) // in earnest: GenerateKey
	stamp := crypto.NewKeyFromSeed(origin, crypto.TypeCosignature, [32]byte{2})

	text := []byte(origin + "\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n")
	signature, err := signer.Sign(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	cosignature, err := stamp.Cosign(text, 1795424400)
	if err != nil {
		fmt.Println(err)
		return
	}
	data := crypto.Note{Text: text, Lines: []crypto.Line{signature, cosignature}}.Bytes()

	note, err := crypto.ParseNote(data)
	if err != nil {
		fmt.Println(err)
		return
	}
	found, err := note.Check(signer.Public(), stamp.Public())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s", note.Bytes())
	for _, s := range found {
		fmt.Println(s.Key.Type, s.Time)
	}
	// Output:
	// eokm.example/known/1
	// 0
	// 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
	//
	// — eokm.example/known/1 oQCebmgrvp6XP3+IItJJXsfNF2CyIoHszsy7GgkKJoobFFSsRHCHic/gNHkPMS9AsJv/scwH9HvgwNL6ebJuFXeuTw0=
	// — eokm.example/known/1 eLZ8ZwAAAABrBACQagK+Cog1FPGrpbss1GnzNkoKNRgk8fENDtG7dZp8FcFbt2dwfUfQXqzH7oqS5U92EmFjUXqLp+Wt0bavW5cODg==
	// signature 0
	// cosignature 1795424400
}

// A store seals each value for its place.
func ExampleSealKey() {
	key, err := crypto.GenerateSealKey()
	if err != nil {
		fmt.Println(err)
		return
	}
	sealer := key.Sealer()
	sealed := sealer.AppendSeal(nil, []byte("a body bundle"), []byte("place 17"))
	plaintext, err := sealer.AppendOpen(nil, sealed, []byte("place 17"))
	fmt.Printf("%d bytes sealed, opened: %q %v\n", len(sealed), plaintext, err)
	_, err = sealer.AppendOpen(nil, sealed, []byte("place 18"))
	fmt.Println(err)
	// Output:
	// 53 bytes sealed, opened: "a body bundle" <nil>
	// sealed value is damaged, was moved, or belongs to another key
}
