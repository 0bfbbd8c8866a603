// How instructions and texts become words of a SPIR-V module.
#ifndef COTENANT_VULKAN_SPIRV_WORDS_HPP
#define COTENANT_VULKAN_SPIRV_WORDS_HPP
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string_view>

#include "cotenant/vulkan/spirv.hpp"

namespace cotenant::vulkan::spirv {

[[gnu::cold]] inline void append(Words& to, const Words& from) { to.insert(to.end(), from.begin(), from.end()); }
// A literal string: its bytes and at least one zero behind them, four to a word.
inline Words text(std::string_view characters) {
  Words words(characters.size() / 4 + 1, 0);
  std::memcpy(words.data(), characters.data(), characters.size());
  return words;
}
// The first word of an instruction: how many words it has, and which it is.
constexpr std::uint32_t first_word(Op op, std::size_t operands) { return static_cast<std::uint32_t>(operands + 1) << 16 | static_cast<std::uint32_t>(op); }
[[gnu::cold]] inline void write(Words& section, Op op, const std::uint32_t* operands, std::size_t count) {
  section.push_back(first_word(op, count));
  section.insert(section.end(), operands, operands + count);
}
inline void write(Words& section, Op op, const Words& operands) { write(section, op, operands.data(), operands.size()); }
inline void write(Words& section, Op op, std::initializer_list<std::uint32_t> operands) { write(section, op, operands.begin(), operands.size()); }

}  // namespace cotenant::vulkan::spirv

#endif
