// ModuleText: the instructions of a SPIR-V module of somebody else, taken apart by the grammar, and what its ids stand for.
#ifndef COTENANT_VULKAN_MODULE_TEXT_HPP
#define COTENANT_VULKAN_MODULE_TEXT_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cotenant/core/error.hpp"
#include "cotenant/vulkan/module_grammar.hpp"
#include "cotenant/vulkan/spirv.hpp"

namespace cotenant::vulkan::detail {

// What the checks of a module are made of: see ModuleTypes and ModuleCheck.
class ModuleText {
 protected:
  using Op = spirv::Op;
  // Of a module whose instructions fill its words exactly. Errors: InvalidArgument, where an instruction has other words than its grammar.
  explicit ModuleText(std::span<const std::uint32_t> words) : words_(words) {
    for (std::size_t at = 5; at < words.size(); at += words[at] >> 16) read(at);
  }
  ~ModuleText() = default;

  struct Use {
    char kind;
    std::uint32_t id;
  };
  struct Instruction {
    Op op = Op::Nop;
    std::uint32_t type = 0, result = 0;
    std::size_t at = 0;                  // its first word
    std::span<const std::uint32_t> operands;  // after type and result
    std::vector<Use> uses;
    std::size_t function = 0, order = 0;  // the function that it lies in, from 1 on; 0: outside
  };
  [[noreturn]] void fail(const std::string& what) const {
    raise<InvalidArgument>("this is no SPIR-V module that can be run: at word " + std::to_string(at_) + ", " + what);
  }
  [[noreturn]] void fail_id(std::uint32_t id, const std::string& what) const { fail("%" + std::to_string(id) + " " + what); }
  static std::string number(Op op) { return std::to_string(static_cast<unsigned>(op)); }
  std::size_t count(Op op) const {
    return static_cast<std::size_t>(std::count_if(instructions_.begin(), instructions_.end(), [&](const Instruction& one) { return one.op == op; }));
  }

  void read(std::size_t at) {
    at_ = at;
    const std::span<const std::uint32_t> all = words_.subspan(at, words_[at] >> 16);
    const Op op = static_cast<Op>(all[0] & 0xffff);
    const char* kinds = words_of_instruction(all[0] & 0xffff);
    if (kinds == nullptr) fail("the instruction " + number(op) + " is none of a kernel on storage buffers");
    Instruction one;
    one.op = op, one.at = at;
    std::size_t next = 1, skipped = 1;
    const auto take = [&] {
      if (next == all.size()) fail("the instruction " + number(op) + " is too short");
      return all[next++];
    };
    const auto take_one = [&](char kind) {
      switch (kind) {
        case 't': one.type = take(), one.uses.push_back({'y', one.type}), skipped = next; break;
        case 'r': one.result = take(), skipped = next; break;
        case 'l': take(); break;
        case 'c': check_storage(take()); break;
        case 's': for (bool ended = false; !ended;) ended = has_zero_byte(take()); break;
        case 'm': if (next < all.size()) {
          const std::uint32_t mask = take();
          if (mask > 0x3f) fail("memory operands of unknown kind");
          if (mask & 2) take();
          for (const std::uint32_t with_scope : {8u, 16u}) if (mask & with_scope) one.uses.push_back({'k', take()});
          break;
        } else break;
        case 'w': while (next < all.size()) take(), one.uses.push_back({'b', take()}); break;
        case 'p': while (next < all.size()) one.uses.push_back({'p', take()}), one.uses.push_back({'b', take()}); break;
        default: one.uses.push_back({kind, take()}); break;
      }
    };
    for (; *kinds != 0; ++kinds) {
      if (*kinds == '*') for (++kinds; next < all.size();) take_one(*kinds);
      else if (*kinds == '?') { if (++kinds, next < all.size()) take_one(*kinds); }
      else take_one(*kinds);
    }
    if (next != all.size()) fail("the instruction " + number(op) + " is too long");
    one.operands = all.subspan(skipped);
    instructions_.push_back(std::move(one));
  }
  static bool has_zero_byte(std::uint32_t word) { return (word & 0xff) == 0 || (word >> 8 & 0xff) == 0 || (word >> 16 & 0xff) == 0 || word >> 24 == 0; }
  // Section 3.7; 5349 is PhysicalStorageBuffer.
  void check_storage(std::uint32_t storage) const { if ((storage > 12 && storage != 5349) || storage == 3 ||
      storage == 8) fail("a storage class that kernels do not have"); }

  // "GLSL.std.450", as words.
  static bool is_glsl(const Instruction& set) { return set.operands.size() == 4 && set.operands[0] == 0x4c534c47 && set.operands[1] == 0x6474732e &&
      set.operands[2] == 0x3035342e; }

  const Instruction* definition(std::uint32_t id) const {
    const auto found = defined_.find(id);
    return found == defined_.end() ? nullptr : found->second;
  }
  // f float, i integer, b bool, p pointer, o any other; vectors have several of them.
  struct Kind {
    char of = 'o';
    std::uint32_t width = 0, count = 1;
    bool operator==(const Kind&) const = default;
  };
  Kind kind_of(std::uint32_t type) const {
    const Instruction* const t = definition(type);
    if (t == nullptr) return {};
    switch (t->op) {
      case Op::TypeBool: return {'b', 1, 1};
      case Op::TypeInt: return {'i', t->operands[0], 1};
      case Op::TypeFloat: return {'f', t->operands[0], 1};
      case Op::TypePointer: return {'p', 64, 1};
      case Op::TypeVector: {
        Kind kind = kind_of(t->operands[0]);
        kind.count = t->operands[1];
        return kind;
      }
      case Op::TypeCooperativeMatrixKHR: {
        Kind kind = kind_of(t->operands[0]);
        kind.count = 0;  // of a matrix: as many as its use says
        return kind;
      }
      default: return {};
    }
  }
  std::uint32_t type_of(std::uint32_t value) const { return definition(value)->type; }
  Kind kind(std::uint32_t value) const { return kind_of(type_of(value)); }
  void expect(bool holds, const char* what) const { if (!holds) fail(what); }

  std::span<const std::uint32_t> words_;
  std::vector<Instruction> instructions_;
  std::map<std::uint32_t, const Instruction*> defined_;
  std::size_t at_ = 5;  // what is looked at, for messages
};

}  // namespace cotenant::vulkan::detail

#endif
