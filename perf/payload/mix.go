package payload

import (
	"fmt"
	"strings"
)

// event appends one event of a mix, and returns its length. size is a counter's.
func (b *builder) event(m Mix, size int) int {
	start := b.out.Len()
	switch m {
	case Counters:
		b.counter(size)
	case Clicks:
		b.click()
	case Documents:
		b.document()
	}
	return b.out.Len() - start
}

// DefaultSize is the length of a counter's payload.
const DefaultSize = 82

// counter is a small event: a number, a random session, and letters that stay up to the size.
func (b *builder) counter(size int) {
	if size == 0 {
		size = DefaultSize
	}
	start := b.out.Len()
	b.text(`{"id":`)
	b.field(number, numberDigits, 0)
	b.text(`,"session":"`)
	b.field(hex, 16, 0)
	b.text(`","event":"click"`)
	if pad := size - (b.out.Len() - start) - len(`,"p":""}`); pad > 0 {
		b.text(`,"p":"`)
		for range pad {
			b.out.WriteByte("etaoinshrdlu "[b.random.below(13)])
		}
		b.text(`"`)
	}
	b.text("}")
}

// clickSize and documentSize are the lengths of those events' payloads.
const (
	clickSize    = 1024
	documentSize = 20_000
)

// click is an event of a web page's visitor: names that repeat, identifiers that do not, and some text.
func (b *builder) click() {
	start := b.out.Len()
	b.text(`{"event_id":`)
	b.field(number, numberDigits, 0)
	b.text(`,"type":"`)
	b.field(pick, len(picks[kinds][0]), kinds)
	b.text(`","trace":"`)
	b.field(hex, 32, 0)
	b.text(`","user":{"id":"u`)
	b.field(hex, 16, 0)
	b.text(`","anonymous":false,"country":"`)
	b.field(pick, len(picks[countries][0]), countries)
	b.text(`","ip":"203.0.113.`)
	b.field(digits, 3, 0)
	b.text(`"},"session":{"id":"`)
	b.field(hex, 32, 0)
	b.text(`","number":`)
	b.field(digits, 3, 0)
	b.text(`,"started":`)
	b.field(digits, 13, 0)
	b.text(`},"page":{"url":"https://shop.example.com/catalogue/`)
	b.field(digits, 8, 0)
	b.text(`/item?ref=`)
	b.field(hex, 8, 0)
	b.text(`","title":"`)
	b.field(words, 60, 0)
	b.text(`","referrer":"https://search.example.net/?q=`)
	b.field(hex, 16, 0)
	b.text(`"},"device":{"agent":"`)
	b.field(pick, len(picks[agents][0]), agents)
	b.text(`","width":`)
	b.field(digits, 4, 0)
	b.text(`,"height":`)
	b.field(digits, 4, 0)
	b.text(`},"timing":{"dns":`)
	b.field(digits, 2, 0)
	b.text(`,"connect":`)
	b.field(digits, 2, 0)
	b.text(`,"first_byte":`)
	b.field(digits, 3, 0)
	b.text(`,"load":`)
	b.field(digits, 4, 0)
	b.text(`},"cart":[{"sku":"`)
	b.field(hex, 8, 0)
	b.text(`","price":`)
	b.field(digits, 4, 0)
	b.text(`.99},{"sku":"`)
	b.field(hex, 8, 0)
	b.text(`","price":`)
	b.field(digits, 3, 0)
	b.text(`.49}],"query":"`)
	b.field(words, clickSize-(b.out.Len()-start)-len(`"}`), 0)
	b.text(`"}`)
}

// document is a text with a head.
func (b *builder) document() {
	start := b.out.Len()
	b.text(`{"document":`)
	b.field(number, numberDigits, 0)
	b.text(`,"digest":"`)
	b.field(hex, 64, 0)
	b.text(`","title":"`)
	b.field(words, 80, 0)
	b.text(`","language":"la","paragraphs":["`)
	for range 9 {
		b.field(words, 2000, 0)
		b.text(`","`)
	}
	b.field(words, documentSize-(b.out.Len()-start)-len(`"]}`), 0)
	b.text(`"]}`)
}

// Lists of which one entry is picked; all entries of a list have one length.
const (
	kinds = iota
	countries
	agents
)

var picks = [][]string{
	kinds:     {"page_view_", "click_____", "add_cart__", "scroll____", "search____", "checkout__"},
	countries: {"AT", "BR", "CA", "CH", "DE", "ES", "FR", "GB", "IN", "JP", "KE", "MX", "NG", "PL", "SE", "US"},
	agents:    makeAgents(),
}

// makeAgents are 48 browsers: a site sees a few dozen often, and they are much alike.
func makeAgents() (all []string) {
	systems := []string{"X11; Linux x86_64", "Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7", "iPhone; CPU iPhone OS 18_1"}
	for _, s := range systems {
		for v := range 12 {
			a := fmt.Sprintf("Mozilla/5.0 (%s) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0", s, 118+v)
			all = append(all, a+strings.Repeat("_", 112-len(a)))
		}
	}
	return all
}
