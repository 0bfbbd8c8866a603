// Tensors whose every byte follows from a name and a version: whoever reads one back can tell whether it is the right one.
#ifndef COTENANT_TESTS_KILL_VERSIONS_HPP
#define COTENANT_TESTS_KILL_VERSIONS_HPP
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "cotenant/files/store.hpp"

namespace kill_test {

// name -> version: what a store should hold.
using State = std::map<std::string, std::uint64_t>;

// splitmix64: a few bits of seed become many.
inline std::uint64_t mix(std::uint64_t& state) {
  std::uint64_t value = state += 0x9E3779B97F4A7C15u;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
  return value ^ (value >> 31);
}

inline cotenant::SharedTensor<std::int32_t> make(const std::string& name, std::uint64_t version) {
  std::uint64_t state = cotenant::xxh64(name.data(), name.size()) ^ (version * 0x9E3779B97F4A7C15u);
  const std::uint64_t kind = mix(state) % 256;
  // Mostly small; some with no element, and one in 256 of two chunks.
  const std::size_t rows = kind == 0 ? 1100 : kind < 16 ? 0 : mix(state) % 40, columns = kind == 0 ? 1000 : 1 + mix(state) % 60;
  auto tensor = cotenant::empty<std::int32_t>({rows, columns});
  for (std::int32_t& value : tensor.mutable_view().span()) value = static_cast<std::int32_t>(mix(state));
  return tensor;
}

// Nothing where the store holds exactly this, every bit of it; else what is wrong.
inline std::string difference(cotenant::TensorStore& store, const State& wanted) {
  const std::vector<std::string> names = store.names();
  for (const std::string& name : names)
    if (wanted.count(name) == 0) return "'" + name + "' should not be there";
  for (const auto& [name, version] : wanted) {
    if (!store.contains(name)) return "'" + name + "' of version " + std::to_string(version) + " is lost";
    const auto expected = make(name, version);
    const auto found = store.load<std::int32_t>(name);
    if (found.shape() != expected.shape()) return "'" + name + "' is not of version " + std::to_string(version);
    for (std::size_t i = 0; i < expected.size(); ++i)
      if (found.view().span()[i] != expected.view().span()[i]) return "'" + name + "' of version " + std::to_string(version) + " differs in element " + std::to_string(i);
  }
  return {};
}

// Nothing where the folder holds the manifest, the lock, the files that the manifest names, and nothing else.
inline std::string leftover(const std::filesystem::path& folder, cotenant::TensorStore& store) {
  std::map<std::string, bool> known{{"lock", true}, {std::string(cotenant::Manifest::file_name), true}};
  for (const std::string& name : store.names()) known[store.info(name).file] = true;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (known.count(entry.path().filename().string()) == 0) return "'" + entry.path().filename().string() + "' was left behind";
  return {};
}

}  // namespace kill_test

#endif
