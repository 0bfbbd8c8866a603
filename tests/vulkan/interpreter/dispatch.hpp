// dispatch(): runs a compute module on the CPU, the lanes of a subgroup side by side, subgroups in turn from barrier to barrier.
#ifndef COTENANT_TESTS_VULKAN_INTERPRETER_DISPATCH_HPP
#define COTENANT_TESTS_VULKAN_INTERPRETER_DISPATCH_HPP
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "accesses.hpp"
#include "arithmetic.hpp"
#include "composites.hpp"

namespace cotenant::test::interpreter {

// Each lane stands before one block; those before the earliest one execute it. Blocks are in an order in which a branch that does not repeat
// goes forward, so that lanes meet again where their ways do.
class Subgroup {
 public:
  Subgroup(const Program& program, WorkgroupMemory& shared, const Arguments& arguments, std::uint32_t number, std::uint32_t count)
      : program_(program), registers_(program, count), accesses_(registers_, shared, arguments) {
    accesses_.toucher.subgroup = number;
  }
  void begin(std::uint64_t workgroup) {
    accesses_.workgroup = workgroup;
    next_.fill(0);
    alive_ = registers_.full, resume_ = no_place;
    accesses_.toucher.workgroup_barriers = 0, accesses_.toucher.subgroup_barriers = 0;
  }
  Registers& registers() { return registers_; }
  bool done() const { return alive_ == 0; }
  // The barrier before which it waits: a place in the program's code.
  std::size_t waits_at() const { return resume_; }

  // Goes on to the next barrier of the workgroup, or to the end.
  void run() {
    while (alive_ != 0) {
      std::uint32_t block = ~0u;
      for (std::uint32_t l = 0; l < lanes; ++l) if ((alive_ >> l & 1) != 0) block = std::min(block, next_[l]);
      registers_.active = 0;
      for (std::uint32_t l = 0; l < lanes; ++l) if ((alive_ >> l & 1) != 0 && next_[l] == block) registers_.active |= 1u << l;
      std::size_t at = program_.blocks[block].begin;
      if (resume_ != no_place) at = resume_ + 1, resume_ = no_place, ++accesses_.toucher.workgroup_barriers;
      for (; at < program_.blocks[block].end; ++at)
        if (!step(*program_.code[at])) {
          resume_ = at;
          return;
        }
    }
  }

 private:
  static constexpr std::size_t no_place = ~std::size_t{0};

  // False: the workgroup's barrier.
  bool step(const Program::Instruction& one) {
    Registers& r = registers_;
    const auto& x = one.operands;
    try {
      switch (one.op) {
        case Op::Load: accesses_.load(one); return true;
        case Op::Store: accesses_.store(one); return true;
        case Op::AccessChain: case Op::InBoundsAccessChain: accesses_.chain(one); return true;
        case Op::ExtInst: extended(r, one); return true;
        case Op::CooperativeMatrixLoadKHR: accesses_.load_matrix(one); return true;
        case Op::CooperativeMatrixStoreKHR: accesses_.store_matrix(one); return true;
        case Op::CooperativeMatrixMulAddKHR: multiply_add(r, accesses_, one); return true;
        case Op::CooperativeMatrixLengthKHR: r.each_lane([&](std::uint32_t l) { r.at(one.result)[l] = program_.type(x[0]).count; }); return true;
        case Op::LoopMerge: case Op::SelectionMerge: return true;
        case Op::Branch: r.each_lane([&](std::uint32_t l) { next_[l] = program_.blocks_of[x[0]]; }); return true;
        case Op::BranchConditional: {
          const std::uint64_t* const condition = r.at(x[0]);
          r.each_lane([&](std::uint32_t l) { next_[l] = program_.blocks_of[condition[l] != 0 ? x[1] : x[2]]; });
          return true;
        }
        case Op::Return: alive_ &= ~r.active; return true;
        case Op::ControlBarrier: {
          const std::uint64_t scope = program_.constant(x[0]);
          if (r.active != r.full) fault("a barrier that not all lanes of the subgroup reach at once");
          if (scope == static_cast<std::uint64_t>(vulkan::spirv::Scope::Workgroup)) return false;
          ++accesses_.toucher.subgroup_barriers;
          return true;
        }
        default:
          if (composite(r, one) || subgroup_operation(r, one) || accesses_.atomic(one)) return true;
          if (one.result != 0 && Arithmetic(r, one).run()) return true;
          fault("the interpreter does not know instruction " + std::to_string(static_cast<unsigned>(one.op)));
      }
    } catch (const Fault& what) {
      throw Fault(std::string(what.what()) + " (instruction " + std::to_string(static_cast<unsigned>(one.op)) + " at word " + std::to_string(one.at) +
          (one.result != 0 ? ", %" + std::to_string(one.result) : "") + ")");
    }
  }

  const Program& program_;
  Registers registers_;
  Accesses accesses_;
  std::array<std::uint32_t, lanes> next_{};
  std::uint32_t alive_ = 0;
  std::size_t resume_ = no_place;
};

// Errors: Fault, at the first thing that no device has to bear.
inline void dispatch(const Program& program, const Arguments& arguments) {
  using vulkan::spirv::BuiltIn;
  WorkgroupMemory shared;
  std::vector<Subgroup> subgroups;
  const std::uint32_t invocations = program.invocations(), size = program.subgroup(), count = (invocations + size - 1) / size;
  subgroups.reserve(count);
  for (std::uint32_t s = 0; s < count; ++s) subgroups.emplace_back(program, shared, arguments, s, std::min(size, invocations - s * size));
  for (const Variable& variable : program.variables) {
    std::uint64_t pointer = program.places[variable.id] + 1;
    if (variable.storage == StorageClass::Workgroup) pointer = shared.add(variable.type->bytes);
    else if (variable.storage == StorageClass::StorageBuffer) pointer = tagged(variable.binding, 0);
    else if (variable.storage == StorageClass::PushConstant) pointer = 0;
    else if (variable.storage != StorageClass::Function && variable.storage != StorageClass::Input)
      fault("the interpreter does not know variables of storage class " + std::to_string(static_cast<unsigned>(variable.storage)));
    for (Subgroup& subgroup : subgroups) std::fill_n(subgroup.registers().at(variable.id), lanes, pointer);
  }
  const auto set_built_ins = [&](const std::array<std::uint32_t, 3>& group) {
    for (const Variable& variable : program.variables) {
      if (variable.storage != StorageClass::Input) continue;
      for (std::uint32_t s = 0; s < count; ++s) {
        std::uint64_t* const to = subgroups[s].registers().at(variable.id) + lanes;
        for (std::uint32_t l = 0; l < lanes; ++l) {
          const std::uint32_t index = s * size + l;
          const std::array<std::uint32_t, 3> local{index % program.workgroup[0], index / program.workgroup[0] % program.workgroup[1],
                                                   index / program.workgroup[0] / program.workgroup[1]};
          const auto vector = [&](auto component) { for (std::uint32_t c = 0; c < 3; ++c) to[c * lanes + l] = component(c); };
          switch (static_cast<BuiltIn>(variable.built_in)) {
            case BuiltIn::WorkgroupId: vector([&](std::uint32_t c) { return group[c]; }); break;
            case BuiltIn::NumWorkgroups: vector([&](std::uint32_t c) { return arguments.groups[c]; }); break;
            case BuiltIn::LocalInvocationId: vector([&](std::uint32_t c) { return local[c]; }); break;
            case BuiltIn::GlobalInvocationId: vector([&](std::uint32_t c) { return group[c] * program.workgroup[c] + local[c]; }); break;
            case BuiltIn::LocalInvocationIndex: to[l] = index; break;
            case BuiltIn::SubgroupId: to[l] = s; break;
            case BuiltIn::NumSubgroups: to[l] = count; break;
            case BuiltIn::SubgroupSize: to[l] = size; break;
            case BuiltIn::SubgroupLocalInvocationId: to[l] = l; break;
            default: fault("the interpreter does not know the built-in variable " + std::to_string(variable.built_in));
          }
        }
      }
    }
  };
  const std::uint64_t groups = std::uint64_t{arguments.groups[0]} * arguments.groups[1] * arguments.groups[2];
  for (std::uint64_t i = 0; i < groups; ++i) {
    const std::uint64_t group = arguments.backwards ? groups - 1 - i : i, row = group / arguments.groups[0];
    set_built_ins({static_cast<std::uint32_t>(group % arguments.groups[0]), static_cast<std::uint32_t>(row % arguments.groups[1]),
        static_cast<std::uint32_t>(row / arguments.groups[1])});
    shared.forget();
    for (Subgroup& subgroup : subgroups) subgroup.begin(group);
    for (bool all_done = false; !all_done;) {
      for (std::uint32_t s = 0; s < count; ++s) subgroups[arguments.backwards ? count - 1 - s : s].run();
      all_done = subgroups[0].done();
      for (const Subgroup& subgroup : subgroups)
        if (subgroup.done() != all_done || (!all_done && subgroup.waits_at() != subgroups[0].waits_at()))
          fault("a barrier of the workgroup that not all of its subgroups reach");
    }
  }
}

}  // namespace cotenant::test::interpreter

#endif
