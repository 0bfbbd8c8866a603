// PrefixTree: the longest of many strings that a text begins with, in one pass over the text.
#ifndef COTENANT_MODELS_PREFIX_TREE_HPP
#define COTENANT_MODELS_PREFIX_TREE_HPP
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include "cotenant/core/error.hpp"

namespace cotenant {

// Bytes on edges; all edges lie in one open-addressing table, so that a step costs one probe and no allocation.
// (A table of 256 children per node would need 100 MB for a vocabulary of 30 000 tokens.)
class PrefixTree {
 public:
  struct Match {
    std::size_t length = 0;  // 0: nothing matches
    std::int32_t value = -1;
  };

  // Several trees in one: `roots` of them, numbered from 0.
  explicit PrefixTree(std::uint32_t roots) : values_(roots, -1), slots_(1024) {}

  // A string inserted again gets the new value. Errors: Unsupported beyond 2^24 nodes.
  void insert(std::uint32_t root, std::string_view text, std::int32_t value) {
    std::uint32_t node = root;
    for (char byte : text) {
      const std::uint32_t key = make_key(node, byte);
      std::uint32_t child = next(key);
      if (child == none) {
        child = static_cast<std::uint32_t>(values_.size());
        // A key has 24 bits for the node and 8 for the byte.
        if (child >= (1u << 24) - 1) raise<Unsupported>("a vocabulary with more than 2^24 different prefixes is not supported");
        values_.push_back(-1);
        if (values_.size() * 2 > slots_.size()) grow();
        place({key, child});
      }
      node = child;
    }
    values_[node] = value;
  }

  // The longest inserted string that `text` begins with.
  Match longest(std::uint32_t root, std::string_view text) const {
    Match match;
    std::uint32_t node = root;
    for (std::size_t at = 0; at < text.size(); ++at) {
      node = next(make_key(node, text[at]));
      if (node == none) break;
      if (values_[node] >= 0) match = {at + 1, values_[node]};
    }
    return match;
  }
  // The value of exactly this string, or -1.
  std::int32_t find(std::uint32_t root, std::string_view text) const {
    const Match match = longest(root, text);
    return match.length == text.size() ? match.value : -1;
  }

 private:
  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
  struct Edge {
    std::uint32_t key = 0;
    std::uint32_t child = none;
  };

  static std::uint32_t make_key(std::uint32_t node, char byte) { return (node << 8) | static_cast<unsigned char>(byte); }
  // Fibonacci hashing: 2^64 / golden ratio spreads neighbouring keys; the table has a power of two of slots.
  std::size_t slot_of(std::uint32_t key) const { return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15ull) >> 32) & (slots_.size() - 1); }
  std::uint32_t next(std::uint32_t key) const {
    for (std::size_t slot = slot_of(key);; slot = (slot + 1) & (slots_.size() - 1))
      if (slots_[slot].child == none || slots_[slot].key == key) return slots_[slot].child;
  }
  void place(Edge edge) {
    std::size_t slot = slot_of(edge.key);
    while (slots_[slot].child != none) slot = (slot + 1) & (slots_.size() - 1);
    slots_[slot] = edge;
  }
  void grow() {
    std::vector<Edge> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Edge& edge : old)
      if (edge.child != none) place(edge);
  }

  std::vector<std::int32_t> values_;  // per node, -1 where no string ends
  std::vector<Edge> slots_;
};

}  // namespace cotenant

#endif
