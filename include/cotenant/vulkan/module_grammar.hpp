// The words of each SPIR-V instruction that a compute kernel of somebody else may consist of.
#ifndef COTENANT_VULKAN_MODULE_GRAMMAR_HPP
#define COTENANT_VULKAN_MODULE_GRAMMAR_HPP
#include <cstdint>

namespace cotenant::vulkan::detail {

// SPIR-V specification, section 3.42. The words after the first, a letter each:
//   t  the type of the result          v  a value                      l  a literal
//   r  the result                      k  a constant                   s  text, to its end
//   y  a type                          b  a label                      m  memory operands, or nothing
//   c  a storage class                 f  a function                   w  pairs of a literal and a label, to the end
//   i  any id                          e  a set of instructions        p  pairs of a value and a label, to the end
// ? the next one or nothing; * the next one as often as there are words.
struct ModuleInstruction {
  std::uint16_t first, last;  // opcodes
  const char* words;
};
inline constexpr ModuleInstruction module_instructions[] = {
    {0, 0, ""}, {1, 1, "tr"}, {2, 2, "s"}, {3, 3, "ll*l"}, {4, 4, "s"}, {5, 5, "is"}, {6, 6, "ils"}, {7, 7, "rs"}, {8, 8, "ill"},
    {10, 10, "s"}, {11, 11, "rs"}, {12, 12, "trel*i"}, {14, 14, "ll"}, {15, 15, "lfs*i"}, {16, 16, "fl*l"}, {17, 17, "l"},
    // types
    {19, 20, "r"}, {21, 21, "rll"}, {22, 22, "rl?l"}, {23, 24, "ryl"}, {28, 28, "ryk"}, {29, 29, "ry"}, {30, 30, "r*y"}, {32, 32, "rcy"}, {33, 33, "ry*y"},
    {39, 39, "yc"},
    // constants
    {41, 42, "tr"}, {43, 43, "trl*l"}, {44, 44, "tr*k"}, {46, 46, "tr"}, {48, 49, "tr"}, {50, 50, "trl*l"}, {51, 51, "tr*k"}, {52, 52, "trl*l"},
    // functions and memory
    {54, 54, "trly"}, {55, 55, "tr"}, {56, 56, ""}, {57, 57, "trf*v"}, {59, 59, "trc?i"}, {61, 61, "trvm"}, {62, 62, "vvm"}, {63, 63, "vvmm"},
    {65, 66, "trv*v"},
    {67, 67, "trvv*v"}, {68, 68, "trvl"}, {70, 70, "trvv*v"},
    // annotations
    {71, 71, "il*l"}, {72, 72, "yll*l"}, {73, 73, "r"}, {74, 74, "i*i"}, {75, 75, "i*l"},
    // composites and conversions
    {77, 77, "trvv"}, {78, 78, "trvvv"}, {79, 79, "trvvl*l"}, {80, 80, "tr*v"}, {81, 81, "trvl*l"}, {82, 82, "trvvl*l"}, {83, 84, "trv"}, {109, 116, "trv"},
    {117, 117, "trv"},
    {120, 120, "trv"}, {124, 124, "trv"},
    // arithmetic, comparisons, bits
    {126, 127, "trv"}, {128, 152, "trvv"}, {154, 157, "trv"}, {164, 167, "trvv"}, {168, 168, "trv"}, {169, 169, "trvvv"}, {170, 191, "trvv"},
    {194, 199, "trvv"}, {200, 200, "trv"},
    {201, 201, "trvvvv"}, {202, 203, "trvvv"}, {204, 205, "trv"},
    // barriers and atomics
    {224, 224, "kkk"}, {225, 225, "kk"}, {227, 227, "trvkk"}, {228, 228, "vkkv"}, {229, 229, "trvkkv"}, {230, 230, "trvkkkvv"}, {232, 233, "trvkk"},
    {234, 242, "trvkkv"},
    // control flow
    {245, 245, "trp"}, {246, 246, "bbl*l"}, {247, 247, "bl"}, {248, 248, "r"}, {249, 249, "b"}, {250, 250, "vbb*l"}, {251, 251, "vbw"}, {252, 253, ""},
    {254, 254, "v"},
    {255, 255, ""}, {317, 317, ""}, {330, 330, "s"}, {331, 331, "fl*k"}, {332, 332, "il*i"},
    // subgroups
    {333, 333, "trk"}, {334, 336, "trkv"}, {337, 337, "trkvv"}, {338, 340, "trkv"}, {341, 341, "trkvv"}, {342, 342, "trklv"}, {343, 344, "trkv"},
    {345, 348, "trkvv"},
    {349, 364, "trklv?v"}, {400, 400, "trv"}, {401, 403, "trvv"}, {4416, 4416, ""},
    // integer dot products, cooperative matrices
    {4450, 4452, "trvv?l"}, {4453, 4455, "trvvv?l"}, {4456, 4456, "rykkkk"}, {4457, 4457, "trvk?vm"}, {4458, 4458, "vvk?vm"}, {4459, 4459, "trvvv?l"},
    {4460, 4460, "try"},
    {5632, 5632, "il*l"}, {5633, 5633, "yll*l"},
};

// Null where a compute kernel has no such instruction.
constexpr const char* words_of_instruction(std::uint32_t op) {
  for (const ModuleInstruction& one : module_instructions) if (op >= one.first && op <= one.last) return one.words;
  return nullptr;
}

// Operands of the instructions of GLSL.std.450, from number 1 on; 0: not for compute kernels.
inline constexpr char extended_operands[] = "111111111111111111111111221111111121222222333332332121111111111111221323111000223";

}  // namespace cotenant::vulkan::detail

#endif
