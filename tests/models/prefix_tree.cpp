#include "cotenant/models/prefix_tree.hpp"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <string>

using namespace cotenant;

TEST_CASE("prefix_tree: the longest match, against a search of every prefix") {
  std::mt19937 random(5);
  const auto word = [&](std::size_t most) {
    std::string text;
    for (std::size_t length = random() % (most + 1); text.size() < length;) text.push_back(static_cast<char>("abc\xFF"[random() % 4]));
    return text;
  };
  PrefixTree tree(2);
  std::map<std::string, std::int32_t> words[2];
  for (std::int32_t i = 0; i < 3000; ++i) {
    const std::string text = word(7) + 'a';
    const std::uint32_t root = random() % 2;
    tree.insert(root, text, i);
    words[root][text] = i;
  }
  for (int i = 0; i < 20000; ++i) {
    const std::string text = word(12);
    const std::uint32_t root = random() % 2;
    PrefixTree::Match expected;
    for (std::size_t length = 1; length <= text.size(); ++length)
      if (const auto found = words[root].find(text.substr(0, length)); found != words[root].end()) expected = {length, found->second};
    const PrefixTree::Match match = tree.longest(root, text);
    REQUIRE(match.length == expected.length);
    REQUIRE(match.value == expected.value);
    const auto whole = words[root].find(text);
    REQUIRE(tree.find(root, text) == (whole == words[root].end() ? -1 : whole->second));
  }
}

TEST_CASE("prefix_tree: an empty tree and an empty text match nothing") {
  PrefixTree tree(1);
  CHECK(tree.longest(0, "abc").length == 0);
  tree.insert(0, "ab", 4);
  CHECK(tree.longest(0, "").length == 0);
  CHECK(tree.find(0, "a") == -1);
  CHECK(tree.find(0, "abc") == -1);
  tree.insert(0, "ab", 5);
  CHECK(tree.find(0, "ab") == 5);
}
