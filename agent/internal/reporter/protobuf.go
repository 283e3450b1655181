package reporter

import (
	"bytes"
	"encoding/binary"
)

// An encoder appends fields in the wire format of protobuf, as far as OTLP needs it:
// https://protobuf.dev/programming-guides/encoding/.
type encoder []byte

func (e *encoder) fixed64(field int, n uint64) {
	*e = append(*e, byte(field<<3|1))
	e.packed(n)
}

func (e *encoder) varint(field int, n uint64) {
	var b [binary.MaxVarintLen64]byte
	*e = append(append(*e, byte(field<<3)), b[:binary.PutUvarint(b[:], n)]...)
}

// message appends a field with a length, which it inserts before what body appends.
func (e *encoder) message(field int, body func()) {
	start := len(*e)
	body()
	head := [1 + binary.MaxVarintLen64]byte{byte(field<<3 | 2)}
	n := 1 + binary.PutUvarint(head[1:], uint64(len(*e)-start))
	*e = append(*e, head[:n]...)
	copy((*e)[start+n:], (*e)[start:])
	copy((*e)[start:], head[:n])
}

func (e *encoder) text(field int, s string) {
	e.message(field, func() { *e = append(*e, s...) })
}

// packed appends 64-bit numbers without a field number.
func (e *encoder) packed(numbers ...uint64) {
	for _, n := range numbers {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], n)
		*e = append(*e, b[:]...)
	}
}

// find returns the number or the bytes of a field of a message, or neither. It stops at a
// field of any other type.
func find(message []byte, field uint64) (number uint64, body []byte) {
	for b := bytes.NewBuffer(message); ; {
		tag, _ := binary.ReadUvarint(b)
		number, err := binary.ReadUvarint(b)
		if err != nil || tag&7 != 0 && tag&7 != 2 || tag&7 == 2 && number > uint64(b.Len()) {
			return 0, nil
		}
		if body = nil; tag&7 == 2 {
			body = b.Next(int(number))
		}
		if tag>>3 == field {
			return number, body
		}
	}
}
