package reporter

import (
	"bytes"
	"encoding/binary"
)

// These return fields in the wire format of protobuf, as far as OTLP needs it:
// https://protobuf.dev/programming-guides/encoding/.

func varint(field int, n uint64) []byte {
	var b [binary.MaxVarintLen64]byte
	return append([]byte{byte(field << 3)}, b[:binary.PutUvarint(b[:], n)]...)
}

func fixed64(field int, n uint64) []byte {
	return append([]byte{byte(field<<3 | 1)}, packed(n)...)
}

// message is for all that has a length: messages, texts and packed numbers.
func message(field int, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	b := varint(field, uint64(len(body)))
	b[0] |= 2
	return append(b, body...)
}

func text(field int, s string) []byte { return message(field, []byte(s)) }

// packed returns numbers of 64 bits without a field.
func packed(numbers ...uint64) []byte {
	b := make([]byte, 8*len(numbers))
	for i, n := range numbers {
		binary.LittleEndian.PutUint64(b[8*i:], n)
	}
	return b
}

// find returns the number, or the bytes, of a field of a message, or neither. It
// reads up to a field that has another type than these.
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
