// check_module(): what is wrong with the structure of a SPIR-V compute module, for modules that Debian's spirv-val does not know.
#ifndef COTENANT_VULKAN_SPIRV_CHECK_HPP
#define COTENANT_VULKAN_SPIRV_CHECK_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "cotenant/vulkan/spirv_grammar.hpp"
#include "cotenant/vulkan/spirv_sections.hpp"

namespace cotenant::vulkan::spirv {

// One instruction: its words and which of them are ids.
struct Instruction {
  Op op{};
  std::size_t at = 0;  // of its first word in the module
  Id type = 0, result = 0;
  Words ids;           // operands, without type and result
  Words words;         // all after the first
};

namespace inner {
class Checker {
 public:
  std::vector<std::string> complaints;

  explicit Checker(std::span<const std::uint32_t> words) { check(words); }

 private:
  void check(std::span<const std::uint32_t> words) {
    if (words.size() < 5 || words[0] != magic_number) return complain(0, "no SPIR-V: the magic number is missing");
    if (words[1] < version(1, 3) || words[1] > version(1, 6)) complain(1, "a version that is not between 1.3 and 1.6");
    bound_ = words[3];
    for (std::size_t at = 5; at < words.size();) {
      const std::size_t count = words[at] >> 16;
      if (count == 0 || at + count > words.size()) return complain(at, "an instruction that reaches beyond the module's end");
      parse(at, words.subspan(at, count));
      at += count;
    }
    check_order();
    check_ids();
    check_function();
    check_types();
    check_capabilities();
  }
  void complain(std::size_t at, const std::string& what) { complaints.push_back("word " + std::to_string(at) + ": " + what); }
  static std::string name(Id id) { return "%" + std::to_string(id); }

  void parse(std::size_t at, std::span<const std::uint32_t> words) {
    const Grammar* grammar = grammar_of(words[0] & 0xFFFFu);
    if (grammar == nullptr) return complain(at, "opcode " + std::to_string(words[0] & 0xFFFFu) + ", which is not one of cotenant's");
    Instruction one;
    one.op = grammar->op;
    one.at = at;
    one.words.assign(words.begin() + 1, words.end());
    std::size_t next = 1;
    bool short_of_words = false;
    const auto take = [&]() -> std::uint32_t {
      if (next < words.size()) return words[next++];
      short_of_words = true;
      return 0;
    };
    for (const char* kind = grammar->operands; *kind != 0; ++kind) {
      switch (*kind) {
        case 't': one.type = take(); break;
        case 'r': one.result = take(); break;
        case 'i': one.ids.push_back(take()); break;
        case 'l': take(); break;
        case 's': {
          for (bool ended = false; !ended && !short_of_words;) {
            const std::uint32_t word = take();
            ended = (word >> 24) == 0 || (word & 0xFF) == 0 || (word >> 8 & 0xFF) == 0 || (word >> 16 & 0xFF) == 0;
          }
          break;
        }
        case '*': while (next < words.size()) one.ids.push_back(take()); break;
        case '+': next = words.size(); break;
        case '?': if (next < words.size()) take(); break;
        case 'm': {
          if (next == words.size()) break;
          const std::uint32_t mask = take();
          if (mask & memory_access::Aligned) {
            const std::uint32_t alignment = take();
            if (alignment == 0 || (alignment & (alignment - 1)) != 0) complain(at, "an alignment that is no power of two");
          }
          if (mask & memory_access::MakePointerAvailable) one.ids.push_back(take());
          if (mask & memory_access::MakePointerVisible) one.ids.push_back(take());
          break;
        }
        case 'n': if (take() & 1) one.ids.push_back(take()); break;
      }
    }
    if (short_of_words) complain(at, "an instruction with too few operands");
    if (next < words.size()) complain(at, "an instruction with too many operands");
    instructions_.push_back(std::move(one));
  }

  void check_order() {
    Section last = Section::capabilities;
    bool inside = false;
    for (const Instruction& one : instructions_) {
      if (one.op == Op::Function) inside = true;
      const Section section = one.op == Op::Variable && inside ? Section::functions : section_of(one.op);
      if (section < last) complain(one.at, "an instruction in the wrong section");
      last = std::max(last, section);
    }
    const auto count = [&](Op op) { return std::count_if(instructions_.begin(), instructions_.end(), [&](const Instruction& one) { return one.op == op; }); };
    if (count(Op::MemoryModel) != 1 || count(Op::EntryPoint) != 1 || count(Op::Function) != 1 || count(Op::FunctionEnd) != 1)
      complain(0, "not exactly one memory model, entry point and function");
  }

  void check_ids() {
    for (const Instruction& one : instructions_) {
      if (one.result == 0) continue;
      if (one.result >= bound_) complain(one.at, name(one.result) + " is not below the bound");
      if (!by_result_.emplace(one.result, &one).second) complain(one.at, name(one.result) + " is defined twice");
    }
    for (const Instruction& one : instructions_) {
      if (one.type != 0 && (by_result_.count(one.type) == 0 || !is_type(by_result_[one.type]->op))) complain(one.at, name(one.type) + " is no type");
      for (const Id id : one.ids) if (by_result_.count(id) == 0) complain(one.at, name(id) + " is defined nowhere");
    }
  }

  // Blocks end once, branches go to labels, merges come before branches, and what is used comes first on every path.
  void check_function() {
    struct Block {
      Id label;
      std::size_t begin, end;  // instructions
      std::vector<Id> next;
    };
    std::vector<Block> blocks;
    std::map<Id, std::size_t> index;
    bool open = false, inside = false;
    for (std::size_t i = 0; i < instructions_.size(); ++i) {
      const Instruction& one = instructions_[i];
      if (one.op == Op::Function) { inside = true; continue; }
      if (!inside) continue;
      if (one.op == Op::Label) {
        if (open) complain(one.at, "a block that does not end before the next begins");
        open = true;
        index[one.result] = blocks.size();
        blocks.push_back({one.result, i, i, {}});
        continue;
      }
      if (one.op == Op::FunctionEnd) {
        if (open) complain(one.at, "a block without an end");
        break;
      }
      if (!open) { complain(one.at, "an instruction outside of every block"); continue; }
      if ((one.op == Op::SelectionMerge || one.op == Op::LoopMerge) &&
          (i + 1 == instructions_.size() || (instructions_[i + 1].op != Op::Branch && instructions_[i + 1].op != Op::BranchConditional)))
        complain(one.at, "a merge that no branch follows");
      if (!ends_block(one.op)) continue;
      open = false;
      blocks.back().end = i;
      if (one.op == Op::Branch && !one.ids.empty()) blocks.back().next = {one.ids[0]};
      if (one.op == Op::BranchConditional && one.ids.size() == 3) blocks.back().next = {one.ids[1], one.ids[2]};
    }
    if (blocks.empty() || !complaints.empty()) return;
    // dominators[b]: the blocks on every path to b (Cooper, Harvey and Kennedy would be faster; modules are small).
    const std::size_t count = blocks.size();
    std::vector<std::vector<bool>> dominators(count, std::vector<bool>(count, true));
    dominators[0].assign(count, false);
    dominators[0][0] = true;
    std::vector<std::vector<std::size_t>> before(count);
    for (std::size_t b = 0; b < count; ++b)
      for (const Id next : blocks[b].next) {
        if (index.count(next) == 0) return complain(instructions_[blocks[b].end].at, "a branch to " + name(next) + ", which is no label of the function");
        before[index[next]].push_back(b);
      }
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t b = 1; b < count; ++b) {
        std::vector<bool> all(count, !before[b].empty());
        for (const std::size_t p : before[b]) for (std::size_t d = 0; d < count; ++d) all[d] = all[d] && dominators[p][d];
        all[b] = true;
        if (all != dominators[b]) dominators[b] = all, changed = true;
      }
    }
    std::map<Id, std::pair<std::size_t, std::size_t>> defined;  // block and instruction
    for (std::size_t b = 0; b < count; ++b)
      for (std::size_t i = blocks[b].begin; i <= blocks[b].end; ++i) if (instructions_[i].result != 0) defined[instructions_[i].result] = {b, i};
    for (std::size_t b = 0; b < count; ++b)
      for (std::size_t i = blocks[b].begin; i <= blocks[b].end; ++i)
        for (const Id id : instructions_[i].ids) {
          const auto place = defined.find(id);
          if (place == defined.end() || instructions_[place->second.second].op == Op::Label) continue;
          const auto [block, at] = place->second;
          if (block == b ? at >= i : !dominators[b][block]) complain(instructions_[i].at, name(id) + " is used where it may not have been computed");
        }
  }

  const Instruction* definition(Id id) const {
    const auto found = by_result_.find(id);
    return found == by_result_.end() ? nullptr : found->second;
  }
  Id type_of(Id id) const {
    const Instruction* one = definition(id);
    return one == nullptr ? 0 : one->type;
  }
  void check_types() {
    for (const Instruction& one : instructions_) {
      const auto same = [&](Id a, Id b, const char* what) {
        if (a != b) complain(one.at, std::string(what) + " of two types, " + name(a) + " and " + name(b));
      };
      switch (one.op) {
        case Op::IAdd:
        case Op::FAdd:
        case Op::ISub:
        case Op::FSub:
        case Op::IMul:
        case Op::FMul:
        case Op::UDiv:
        case Op::SDiv:
        case Op::FDiv:
        case Op::UMod:
        case Op::SRem:
        case Op::BitwiseAnd: case Op::BitwiseOr: case Op::BitwiseXor: case Op::LogicalAnd: case Op::LogicalOr:
          same(type_of(one.ids[0]), one.type, "an operation on operands"), same(type_of(one.ids[1]), one.type, "an operation on operands");
          break;
        case Op::FNegate: case Op::SNegate: case Op::Not: case Op::LogicalNot: same(type_of(one.ids[0]), one.type, "an operation on an operand"); break;
        case Op::Select: same(type_of(one.ids[1]), one.type, "a choice"), same(type_of(one.ids[2]), one.type, "a choice"); break;
        case Op::FOrdEqual:
        case Op::FUnordNotEqual:
        case Op::FOrdLessThan:
        case Op::FOrdGreaterThan:
        case Op::FOrdLessThanEqual:
        case Op::FOrdGreaterThanEqual:
        case Op::IEqual:
        case Op::INotEqual: case Op::ULessThan: case Op::SLessThan: case Op::ULessThanEqual: case Op::SLessThanEqual:
          same(type_of(one.ids[0]), type_of(one.ids[1]), "a comparison");
          break;
        case Op::Load: case Op::Store: {
          const Instruction* pointer = definition(type_of(one.ids[0]));
          if (pointer == nullptr || pointer->op != Op::TypePointer) complain(one.at, "an access through " + name(one.ids[0]) + ", which is no pointer");
          else same(pointer->ids[0], one.op == Op::Load ? one.type : type_of(one.ids[1]), "an access");
          break;
        }
        case Op::CooperativeMatrixMulAddKHR: same(type_of(one.ids[2]), one.type, "a sum of matrices"); break;
        default: break;
      }
    }
  }

  // Cooperative matrices need their capability, its extension and the Vulkan memory model; every global variable is in the interface.
  void check_capabilities() {
    std::set<std::uint32_t> capabilities;
    std::uint32_t model = 0;
    std::set<Id> interface;
    bool inside = false;
    for (const Instruction& one : instructions_) {
      if (one.op == Op::Capability) capabilities.insert(one.words[0]);
      if (one.op == Op::MemoryModel) model = one.words[1];
      if (one.op == Op::EntryPoint) interface.insert(one.ids.begin(), one.ids.end());
      if (one.op == Op::Function) inside = true;
      const auto needs = [&](Capability capability, const char* what) {
        if (capabilities.count(static_cast<std::uint32_t>(capability)) == 0) complain(one.at, std::string(what) + " without its capability");
      };
      if (one.op == Op::TypeInt && one.words[1] == 64) needs(Capability::Int64, "a 64-bit integer");
      if (one.op == Op::TypeFloat && one.words[1] == 64) needs(Capability::Float64, "a 64-bit float");
      if (one.op == Op::TypeCooperativeMatrixKHR) {
        needs(Capability::CooperativeMatrixKHR, "a cooperative matrix");
        if (model != static_cast<std::uint32_t>(MemoryModel::Vulkan)) complain(one.at, "a cooperative matrix without the Vulkan memory model");
      }
      if (one.op == Op::CooperativeMatrixLoadTensorNV || one.op == Op::CooperativeMatrixStoreTensorNV)
        needs(Capability::CooperativeMatrixTensorAddressesNV, "tensor addressing");
      if (one.op == Op::Variable && !inside && interface.count(one.result) == 0) complain(one.at, name(one.result) + " is not in the entry point's interface");
    }
  }

  std::uint32_t bound_ = 0;
  std::vector<Instruction> instructions_;
  std::map<Id, const Instruction*> by_result_;
};
}  // namespace inner

// A sentence for each thing that is wrong; empty for a module that is as the specification's structure asks. Knows the
// instructions of spirv.hpp only: for modules that cotenant made.
inline std::vector<std::string> check_module(std::span<const std::uint32_t> words) { return inner::Checker(words).complaints; }

}  // namespace cotenant::vulkan::spirv

#endif
