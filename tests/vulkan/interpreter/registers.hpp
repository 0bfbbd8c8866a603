// Registers of one subgroup: the numbers of every value in every lane, and which lanes an instruction is for.
#ifndef COTENANT_TESTS_VULKAN_INTERPRETER_REGISTERS_HPP
#define COTENANT_TESTS_VULKAN_INTERPRETER_REGISTERS_HPP
#include <cstdint>
#include <vector>

#include "numbers.hpp"

namespace cotenant::test::interpreter {

struct Registers {
  using Instruction = Program::Instruction;
  const Program& program;
  std::vector<std::uint64_t> file;
  std::uint32_t full = 0;    // the lanes that there are
  std::uint32_t active = 0;  // those that execute

  explicit Registers(const Program& p, std::uint32_t count) : program(p), file(std::size_t{p.registers} * lanes, undefined_bits), full(bits_below(count)),
        active(full) {
    for (const auto& [id, numbers] : p.constants)
      for (std::size_t c = 0; c < numbers.size(); ++c)
        for (std::uint32_t l = 0; l < lanes; ++l) at(id)[c * lanes + l] = numbers[c];
  }
  static std::uint32_t bits_below(std::uint32_t count) { return count >= 32 ? ~0u : (1u << count) - 1; }

  std::uint64_t* at(std::uint32_t id) { return file.data() + std::size_t{program.places[id]} * lanes; }
  const Type& result_type(const Instruction& one) const { return program.type(one.type); }
  const Type& type_of(std::uint32_t id) const { return program.type_of_value(id); }

  template <class F> void each_lane(F f) const {
    if (active == ~0u) for (std::uint32_t l = 0; l < lanes; ++l) f(l);
    else for (std::uint32_t rest = active; rest != 0; rest &= rest - 1) f(static_cast<std::uint32_t>(__builtin_ctz(rest)));
  }
  template <class F> void each_number(const Type& type, F f) const {
    for (std::uint32_t c = 0; c < type.slots; ++c) each_lane([&](std::uint32_t l) { f(c * lanes + l); });
  }
  // The one value of all active lanes, where SPIR-V wants it to be one.
  std::uint64_t uniform(std::uint32_t id, const char* what) {
    const std::uint64_t* const x = at(id);
    const std::uint64_t first = x[__builtin_ctz(active)];
    each_lane([&](std::uint32_t l) { if (x[l] != first) fault(std::string(what) + " differs between lanes of a subgroup"); });
    return first;
  }
  // A signed index in lane l.
  std::int64_t index(std::uint32_t id, std::uint32_t l) {
    const Type& type = type_of(id);
    const std::uint64_t bits = at(id)[l] << (64 - type.bits);
    return static_cast<std::int64_t>(bits) >> (64 - type.bits);
  }
};

}  // namespace cotenant::test::interpreter

#endif
